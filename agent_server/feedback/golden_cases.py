"""Golden cases: orders with a known label that are mixed into the queue, to measure reviewers against the truth.

They are scored and decided like any order, and recorded as decisions of their own kind, which labels, policy tests and
lists for auditors leave out.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_server.cases.golden_copies import is_unused, record_origin
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.data_files import Enrichment
from agent_server.database.clock import now
from agent_server.decisions.completion import combine, to_proto, with_completed
from agent_server.decisions.decide import decide
from agent_server.decisions.valuation import value_order
from agent_server.feedback.golden_disguise import IDS, draw_ids, make_indistinguishable
from agent_server.ledger import Ledger, LedgerError
from agent_server.ledger.attempts import digests
from agent_server.ledger.chain import Kind
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from contract.messages import messages
from enrichment.money import Money
from enrichment.rate_files import read_money
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import Overloaded, Unavailable
from runtime.extras import needs_extra
from runtime.files import MIB, check_file
from runtime.rpc.call import new_id
from runtime.telemetry.logging import get_logger

MAX_TRIED = 64
"""Number of golden orders that are scored to find one that the policy sends to review."""
MAX_BYTES = 256 * MIB
_MAX_QUEUED, _MAX_ORDERS, _MAX_DRAWS = 100, 10_000, 100
_NOTHING: Mapping[str, str] = {}
_log = get_logger()


@dataclass(frozen=True)
class GoldenOrder:
    """An order and the right verdict on it."""

    order: Transaction
    verdict: pb.Decision


def read_golden(path: Path, money: Money | None = None) -> list[GoldenOrder]:
    """Return the labelled orders of a CSV or Parquet file, at most 10,000, with amounts in the base currency.

    Raises LedgerError if it cannot be read.
    """
    money = money or read_money()
    with needs_extra("VOUCH_AGENT_GOLDEN_ORDERS", "tables"):
        from contract.tables import TableError, read_table

    try:
        check_file(path, MAX_BYTES)
        table = read_table(path).slice(0, _MAX_ORDERS)
    except OSError as error:
        raise LedgerError(
            f"golden orders (VOUCH_AGENT_GOLDEN_ORDERS) in {path} cannot be read: {error.strerror}"
        ) from error
    except TableError as error:
        raise LedgerError(f"golden orders (VOUCH_AGENT_GOLDEN_ORDERS) cannot be read: {error}") from error
    if "is_abuse" not in table.column_names:
        raise LedgerError(f"golden orders (VOUCH_AGENT_GOLDEN_ORDERS) in {path} have no column is_abuse")
    verdicts = {True: pb.DECISION_DENY, False: pb.DECISION_APPROVE}
    pairs = zip(messages(table), table["is_abuse"].to_pylist(), strict=True)
    return [GoldenOrder(money.to_base(order), verdicts[label]) for order, label in pairs if label is not None]


class RecordGolden:
    """Write that records the decision on a golden order under unused ids. Returns False if it found no unused ids.

    Records nothing if the template, the order that it resembles, was erased meanwhile: nobody would erase the copy.

    Ids are drawn and checked in the same transaction, so no order can take one in between. A later order of the shop
    with the same id replaces the golden one (`withdraw_golden`).
    """

    def __init__(
        self, order: Transaction, template: Transaction, accounts: Sequence[str], answer: pb.ReviewResponse,
        context: DecisionContext, new_case: NewCase, rng: random.Random,
    ) -> None:  # fmt: skip
        """`accounts` are those whose orders this copies: it is erased with each of them."""
        self._order, self._template, self._accounts = order, template, accounts
        self._answer, self._context, self._new_case, self._rng = answer, context, new_case, rng

    def __call__(self, tx: LedgerTransaction) -> bool:
        """Record the decision."""
        if not tx.revisions(self._template.transaction_id):
            return True
        for _ in range(_MAX_DRAWS):
            if self._is_unused(tx):
                break
            draw_ids(self._order, self._template, self._rng)
        else:
            return False
        self._answer.transaction_id = self._order.transaction_id
        RecordDecision(self._order, self._answer, self._context, self._new_case)(tx)
        (recorded,) = tx.revisions(self._order.transaction_id, Kind.GOLDEN)
        accounts = digests(tx.history.key, {name: name for name in self._accounts})
        record_origin(tx, recorded.sequence, (person for person in accounts.values() if person is not None))
        return True

    def _is_unused(self, tx: LedgerTransaction) -> bool:
        order = self._order
        names = [name for name in IDS if name != "transaction_id" and getattr(order, name)]
        known = digests(tx.history.key, {name: getattr(order, name) for name in names})
        return is_unused(tx, order.transaction_id, order.user_id, known)


class GoldenCases:
    """Opens golden cases in proportion to the other cases."""

    def __init__(
        self, ledger: Ledger, scoring: ScoringClient, current: CurrentPolicy, orders: Sequence[GoldenOrder], share: float,
        rng: random.Random | None = None, enrichment: Enrichment | None = None, money: Money | None = None,
    ) -> None:  # fmt: skip
        self._ledger, self._scoring, self._current = ledger, scoring, current
        self._orders, self._share = orders, share
        self._rng, self._enrichment = rng or random.SystemRandom(), enrichment or Enrichment()
        self._money = money or read_money()
        self._queue: asyncio.Queue[tuple[Transaction, str, Mapping[str, str]]] = asyncio.Queue(_MAX_QUEUED)

    def maybe_inject(self, order: Transaction, caller: str, completed: Mapping[str, str] = _NOTHING) -> None:
        """Draw whether to open a golden case after a case was opened. `completed` are the sources of completed fields."""
        if self._orders and self._rng.random() < self._share and not self._queue.full():
            self._queue.put_nowait((order, caller, completed))

    async def run(self) -> None:
        """Open the golden cases that were drawn."""
        while True:
            order, caller, completed = await self._queue.get()
            try:
                if not await self.open_similar(order, caller, completed):
                    _log.warning("no golden order is sent to review by this policy", tried=MAX_TRIED)
            except (Unavailable, Overloaded):
                continue  # scorer and ledger may be available for the next one

    def _derive(self, order: Transaction, completed: Mapping[str, str]) -> Transaction:
        """Return a golden order with the fields that were derived for the template."""
        derived = {name: one for name, one in self._enrichment.derive(order).items() if name in completed}
        return with_completed(order, combine({}, derived).values())

    async def open_similar(self, template: Transaction, caller: str, completed: Mapping[str, str] = _NOTHING) -> bool:
        """Open a golden case that resembles `template`.

        Return False if the policy sends no golden order to review, or if all drawn ids are in use.
        """
        chosen = self._rng.sample(self._orders, min(MAX_TRIED, len(self._orders)))
        base = self._money.base
        orders = [
            self._derive(make_indistinguishable(golden.order, template, self._rng, base), completed)
            for golden in chosen
        ]
        predictions = await self._scoring.predict_many(orders)
        policy, at = self._current.policy, now()
        for golden, order, prediction in zip(chosen, orders, predictions, strict=True):
            if prediction is None:
                continue
            answer, reason = decide(policy, order, prediction, at.ToMicroseconds())
            if answer.decision != pb.DECISION_REVIEW:
                continue
            answer.decision_id = new_id()
            answer.decided_at.CopyFrom(at)
            present = [name for name in completed if order.HasField(name)]
            answer.completed_fields.extend(to_proto(name, getattr(order, name), completed[name]) for name in present)
            for name in present:  # as if the shop had not sent them
                order.ClearField(name)
            if (value := value_order(order, self._money)) is not None:
                answer.order_value.CopyFrom(value)
            new_case = NewCase(new_id(), reason, policy.due_seconds, golden=golden.verdict)
            context = DecisionContext(caller, new_id(), policy.digest)
            accounts = (template.user_id, golden.order.user_id)
            recorded = await self._ledger.write(
                RecordGolden(order, template, accounts, answer, context, new_case, self._rng)
            )
            if not recorded:
                _log.warning("no golden case opened; all drawn ids are in use", drawn=_MAX_DRAWS)
            return recorded
        return False
