"""A shop on a ledger, through the services' own calls, and a search for a person's data in the database files."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from google.protobuf.descriptor import FieldDescriptor
from sqlalchemy.engine import Connection

from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.history_store.importing import HistoryImport
from agent_server.ledger import Ledger, open_engine
from agent_server.policies.current import CurrentPolicy
from agent_server.privacy.background import ErasureWork
from agent_server.scoring.client import ScoringClient
from agent_server.services.agent import AgentService
from agent_server.services.cases import CaseService
from agent_server.services.outcomes import OutcomeService
from agent_server.services.privacy import PrivacyService
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from generated.vouch.v1 import privacy_service_pb2 as privacy
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.access.caller import ADMIN, Caller
from runtime.jobs import Jobs
from runtime.rpc.call import REQUEST_ID, Call
from testing.inputs.orders import message
from testing.waiting import free_port

_LARGE = 1 << 33
"""Smaller numbers occur in files by chance."""


class _Context:
    """The part of a call's context that services read."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((REQUEST_ID, self._request_id),)

    def time_remaining(self) -> None:
        return None

    async def send_initial_metadata(self, headers: object) -> None:
        return None


def call_by(name: str, request_id: str = "request") -> Call:
    """Return a call of an administrator with this name."""
    context: Any = _Context(request_id)
    return Call(context, Caller(name, ADMIN))


class Shop:
    """The services of an agent on a ledger, without a scorer: every order becomes a case."""

    def __init__(self, url: str) -> None:
        self.url, self.engine = url, open_engine(url)
        self.ledger = Ledger(self.engine)
        self._scoring = ScoringClient.connect(f"127.0.0.1:{free_port()}", 0.5)
        decider = Decider(self._scoring, CurrentPolicy(Policy(0.7, 0.4)), self.ledger, use_history=True)
        self.agent = AgentService(decider, self.ledger, self._scoring, Jobs())
        feed: Any = None
        self.cases = CaseService(self.ledger, feed, 600.0, 1.0)
        self.outcomes = OutcomeService(self.ledger)
        self.work = ErasureWork(self.ledger, self.engine)
        self.privacy = PrivacyService(self.ledger, self.work)

    async def review(self, order: Transaction, request_id: str = "request") -> pb.ReviewResponse:
        """Submit an order for review."""
        return await self.agent.Review(pb.ReviewRequest(transaction=order), call_by("shop", request_id))

    async def erase(self, user_id: str) -> privacy.ErasePersonResponse:
        """Erase a person."""
        return await self.privacy.ErasePerson(privacy.ErasePersonRequest(user_id=user_id), call_by("admin"))

    async def judge(self, case_id: str, name: str, mark: str) -> None:
        """Comment on a case and resolve it, with words that can be found again."""
        await self.cases.CommentCase(cases.CommentCaseRequest(case_id=case_id, text=f"{mark}-comment"), call_by(name))
        claimed = await self.cases.ClaimCase(cases.ClaimCaseRequest(case_id=case_id), call_by(name))
        resolved = cases.ResolveCaseRequest(
            case_id=case_id, token=claimed.token, verdict=pb.DECISION_DENY, note=f"{mark}-note",
            reason_code=f"{mark}_code".replace("-", "_"),
        )  # fmt: skip
        await self.cases.ResolveCase(resolved, call_by(name, f"{mark}-verdict"))

    async def report(self, transaction_id: str, mark: str) -> None:
        """Report a chargeback."""
        reported = outcomes.ReportOutcomeRequest(
            transaction_id=transaction_id, kind=outcomes.OUTCOME_KIND_CHARGEBACK, source=f"{mark}-source"
        )
        reported.occurred_at.FromSeconds(1_790_000_000)
        await self.outcomes.ReportOutcome(reported, call_by("shop"))

    async def close(self) -> None:
        """Stop the background jobs and close the ledger."""
        await self._scoring.close()
        self.work.close()
        self.ledger.close()


def marked_order(mark: str, number: int, amount: float) -> Transaction:
    """Return an order with texts that can all be found again."""
    order = message(transaction_id=f"{mark}-transaction-{number}", order_amount=amount)
    for field in Transaction.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING and field.name != "transaction_id":
            setattr(order, field.name, f"{mark}-{field.name.replace('_', '-')}")
    order.user_id = mark
    order.extra_texts["extra"] = f"{mark}-extra"
    order.extra_numbers["extra_number"] = amount / 3
    return order


def past_of(mark: str, times: Iterable[int], amount: float) -> pa.Table:
    """Return earlier orders of a person for an import; times in seconds since 1970."""
    at = list(times)
    return pa.table(
        {
            "transaction_id": [f"{mark}-past-{number}" for number in range(len(at))],
            "timestamp": pa.array(at).cast(pa.timestamp("s")), "user_id": [mark] * len(at),
            "order_amount": [amount] * len(at), "device_id": [f"{mark}-old-device"] * len(at),
        }
    )  # fmt: skip


def import_past(engine: sa.Engine, table: pa.Table) -> None:
    """Import earlier orders."""
    importing = HistoryImport(engine)
    importing.add(table)
    importing.finish()


def patterns_of(value: object) -> set[bytes]:
    """Return the encodings of a value in the files of either database; none for values that occur there by chance."""
    if isinstance(value, str):
        return {value.encode()} if len(value) > 8 else set()
    if isinstance(value, bytes):
        return {value} if len(value) > 8 else set()
    if isinstance(value, float):
        return {struct.pack(">d", value), struct.pack("<d", value)} if value else set()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGE:
        whole = {struct.pack(">q", value), struct.pack("<q", value)}
        return whole | ({struct.pack(">q", value)[2:]} if abs(value) < 1 << 47 else set())  # as SQLite shortens it
    return set()


def values_in(connection: Connection, columns: Iterable[sa.Column[Any]]) -> dict[str, set[bytes]]:
    """Return the encodings of the values in files, by column."""
    return {
        str(column): {
            pattern for value in connection.execute(sa.select(column)).scalars() for pattern in patterns_of(value)
        }
        for column in columns
    }


def found_in(files: Iterable[Path], patterns: Iterable[bytes]) -> dict[str, list[bytes]]:
    """Return the patterns that each file contains."""
    wanted, found = sorted(patterns), dict[str, list[bytes]]()
    for path in files:
        content = path.read_bytes().strip(b"\0") if path.exists() else b""
        if there := [pattern for pattern in wanted if pattern in content]:
            found[path.name] = there
    return found
