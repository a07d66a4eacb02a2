"""Golden cases: orders with a known answer that go to reviewers among the others, so that reviewing is measured against truth.

They are scored and decided as any order, and kept as decisions of a kind of their own, which no label, test of a policy or list
of an auditor takes for an order of the shop.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent_server.cases.golden_copies import is_unused, record_origin
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.database.clock import now
from agent_server.decisions.completion import to_proto
from agent_server.decisions.decide import decide
from agent_server.feedback.golden_disguise import IDS, draw_ids, make_indistinguishable
from agent_server.ledger import Ledger, LedgerError
from agent_server.ledger.attempts import digests
from agent_server.ledger.chain import Kind
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.transaction import LedgerTransaction
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import Overloaded, Unavailable
from runtime.files import MIB, check_file
from runtime.rpc.call import new_id
from runtime.telemetry.logging import get_logger

TRIED = 64
"""So many golden orders are scored to find one that the policy gives to people."""
MOST_BYTES = 256 * MIB
_MOST_WAITING, _MOST_ORDERS, _MOST_DRAWS = 100, 10_000, 100
_log = get_logger()


@dataclass(frozen=True)
class GoldenOrder:
    """An order and the right verdict on it."""

    order: Transaction
    verdict: pb.Decision


def read_golden(path: Path) -> list[GoldenOrder]:
    """Labelled orders of a file, CSV or Parquet, at most 10,000. Raises LedgerError where it cannot be read."""
    from contract.messages import messages  # with Arrow, which an agent without golden orders never needs
    from contract.tables import TableError, read_table

    try:
        check_file(path, MOST_BYTES)
        table = read_table(path).slice(0, _MOST_ORDERS)
    except OSError as error:
        raise LedgerError(
            f"the golden orders (VOUCH_AGENT_GOLDEN_ORDERS) in {path} cannot be read: {error.strerror}"
        ) from error
    except TableError as error:
        raise LedgerError(f"the golden orders (VOUCH_AGENT_GOLDEN_ORDERS) cannot be read: {error}") from error
    if "is_abuse" not in table.column_names:
        raise LedgerError(f"the golden orders (VOUCH_AGENT_GOLDEN_ORDERS) in {path} need the column is_abuse")
    verdicts = {True: pb.DECISION_DENY, False: pb.DECISION_APPROVE}
    pairs = zip(messages(table), table["is_abuse"].to_pylist(), strict=True)
    return [GoldenOrder(order, verdicts[label]) for order, label in pairs if label is not None]


class RecordGolden:
    """Keeps the decision on a golden order under ids that nothing in the ledger has. Gives whether there were such.

    Nothing is kept where the order that it is like was erased meanwhile: nobody would erase the copy.

    They are drawn where they are checked: in the one order of writes, so that no order can take one in between. One that comes
    later with the same id takes the golden one's place (`withdraw_golden`).
    """

    def __init__(
        self, order: Transaction, like: Transaction, people: Sequence[str], answer: pb.ReviewResponse, asked: DecisionContext,
        opening: NewCase, chance: random.Random,
    ) -> None:  # fmt: skip
        """`people` are the accounts whose orders this is a copy of: it is erased with each of them."""
        self._order, self._like, self._people = order, like, people
        self._answer, self._asked, self._opening, self._chance = answer, asked, opening, chance

    def __call__(self, tx: LedgerTransaction) -> bool:
        """Keep it."""
        if not tx.revisions(self._like.transaction_id):
            return True
        for _ in range(_MOST_DRAWS):
            if self._is_unused(tx):
                break
            draw_ids(self._order, self._like, self._chance)
        else:
            return False
        self._answer.transaction_id = self._order.transaction_id
        RecordDecision(self._order, self._answer, self._asked, self._opening)(tx)
        (kept,) = tx.revisions(self._order.transaction_id, Kind.GOLDEN)
        people = digests(tx.history.key, {name: name for name in self._people})
        record_origin(tx, kept.sequence, (person for person in people.values() if person is not None))
        return True

    def _is_unused(self, tx: LedgerTransaction) -> bool:
        order = self._order
        names = [name for name in IDS if name != "transaction_id" and getattr(order, name)]
        known = digests(tx.history.key, {name: getattr(order, name) for name in names})
        return is_unused(tx, order.transaction_id, order.user_id, known)


class GoldenCases:
    """Opens golden cases beside a share of the others."""

    def __init__(
        self, ledger: Ledger, scoring: ScoringClient, current: CurrentPolicy, orders: Sequence[GoldenOrder], share: float,
        chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._ledger, self._scoring, self._current = ledger, scoring, current
        self._orders, self._share = orders, share
        self._chance = chance or random.SystemRandom()
        self._waiting: asyncio.Queue[tuple[Transaction, str, tuple[str, ...]]] = asyncio.Queue(_MOST_WAITING)

    def maybe_inject(self, order: Transaction, caller: str, completed: tuple[str, ...] = ()) -> None:
        """A case was opened on an order of the shop, in which memory had filled in some fields: perhaps a golden one is opened
        beside it, soon.
        """
        if self._orders and self._chance.random() < self._share and not self._waiting.full():
            self._waiting.put_nowait((order, caller, completed))

    async def run(self) -> None:
        """Open those that were drawn."""
        while True:
            order, caller, completed = await self._waiting.get()
            try:
                if not await self.open_like(order, caller, completed):
                    _log.warning("no golden order goes to people by this policy", tried=TRIED)
            except (Unavailable, Overloaded):
                continue  # the next one may find scorer and ledger there

    async def open_like(self, like: Transaction, caller: str, completed: tuple[str, ...] = ()) -> bool:
        """Open a golden case that looks like one on the order `like`; False where no golden order goes to people, or all ids of
        the shop's kind are taken.
        """
        chosen = self._chance.sample(self._orders, min(TRIED, len(self._orders)))
        orders = [make_indistinguishable(golden.order, like, self._chance) for golden in chosen]
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
            there = [name for name in completed if order.HasField(name)]
            answer.completed_fields.extend(to_proto({name: getattr(order, name) for name in there}))
            for name in there:  # as if the shop had left them out here too
                order.ClearField(name)
            opening = NewCase(new_id(), reason, policy.due_seconds, golden=golden.verdict)
            asked = DecisionContext(caller, new_id(), policy.digest)
            people = (like.user_id, golden.order.user_id)
            kept = await self._ledger.write(RecordGolden(order, like, people, answer, asked, opening, self._chance))
            if not kept:
                _log.warning(
                    "no golden case opened: every id of the shop's kind that was drawn is taken", drawn=_MOST_DRAWS
                )
            return kept
        return False
