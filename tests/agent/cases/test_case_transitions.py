"""Every state of a case with every event: what is allowed, and that no machine ever changes what a person decided."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from agent_server.audit.verify import end_of, rows_of, verify
from agent_server.cases.claims import Claim, Claimed, Release, Renew, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.cases.rescoring import rescored, unscored_cases
from agent_server.cases.tables import CASES
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.decisions.policy import Policy
from agent_server.feedback.golden_cases import GoldenCases, GoldenOrder
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.schema import ENTRIES, HEAD, PAYLOADS
from agent_server.policies.current import CurrentPolicy
from agent_server.privacy import Erase
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import VouchError
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for, keep

APPROVE, DENY, HUMAN = pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_MAKER_HUMAN
LEASE = 600_000_000
AT_ONCE = 6
"""States whose events happen at once: fewer pairs than a rescoring finds of unscored cases."""
POLICY = Policy(0.7, 0.4, minimum_evidence=0)
STATUS = {cases.CASE_STATUS_OPEN: "O", cases.CASE_STATUS_CLAIMED: "C", cases.CASE_STATUS_RESOLVED: "R"}
REFUSED = "x"


class _Call:
    """As much of a call as a verdict needs."""

    request_id = "verdict"


class _Scorer:
    """Scores golden orders so that they go to people."""

    async def predict_many(self, orders: list[Transaction], **_: Any) -> list[PredictResponse]:
        return [PredictResponse(legitimacy_score=0.55, model_version="m") for _ in orders]


@dataclass
class _World:
    """One case in one state, and what is needed to make the next event happen."""

    ledger: Ledger
    number: str
    now: int = 1_000_000
    case_id: str = ""
    by: str = "eve"
    claimed: Claimed = field(default_factory=lambda: Claimed("", 1))
    unscored: Any = None
    """The row of the decision as a rescoring read it before anything else happened."""
    before: int = 0
    """The sequence number before the order's first decision."""
    drawn: bool = False
    """Whether the next verdict is followed by a second look."""

    def order(self, **fields: Any) -> Transaction:
        return message(transaction_id=f"t{self.number}", user_id=f"user-{self.number}", **fields)

    async def open(
        self, score: float | None = None, *, held: bool = False, golden: pb.Decision = pb.DECISION_UNSPECIFIED
    ) -> None:
        reason = cases.CASE_REASON_UNCERTAIN if score is not None else cases.CASE_REASON_UNSCORED
        opening = NewCase(f"{random.getrandbits(128):032x}", reason, held=held, golden=golden)
        order = self.order()
        answer = answer_for(order.transaction_id, score=score)
        self.before = await self.ledger.read(lambda rows: rows.execute(sa.select(HEAD.c.sequence)).scalar_one())
        kept = await self.ledger.write(RecordDecision(order, answer, DecisionContext("shop", "", "d" * 64), opening))
        self.case_id = kept.answer.case_id
        self.claimed = Claimed(self.case_id, 1)
        if score is None:
            self.unscored = next((row for _, row in await self.waiting()), None)

    async def waiting(self) -> list[tuple[str, Any]]:
        """What a rescoring finds of this order, and of none before it."""
        found = await self.ledger.read(unscored_cases(100, self.before))
        return [(case_id, row) for case_id, row in found if row.transaction_id == f"t{self.number}"]

    async def claim(self, name: str) -> None:
        self.now += 1_000_000
        claimed = await self.ledger.write(Claim(Reviewer(name, self.now), LEASE, self.case_id))
        assert claimed is not None
        self.by, self.claimed = name, claimed

    async def decide(self, verdict: pb.Decision) -> None:
        self.now += 1_000_000
        by, decided = Reviewer(self.by, self.now), Verdict(self.claimed, verdict)
        await self.ledger.write(Resolve(by, decided, _Call(), lambda: self.drawn))  # type: ignore[arg-type]

    async def judge(self, name: str, verdict: pb.Decision, *, drawn: bool = False) -> None:
        await self.claim(name)
        self.drawn = drawn
        await self.decide(verdict)
        self.drawn = False

    async def next_look(self) -> None:
        """Go on with the look that is open on the order."""
        first = sa.select(CASES.c.review_of).where(CASES.c.case_id == self.case_id).scalar_subquery()
        about = sa.or_(CASES.c.review_of == self.case_id, sa.and_(CASES.c.review_of != "", CASES.c.review_of == first))
        query = sa.select(CASES.c.case_id).where(about, CASES.c.status == cases.CASE_STATUS_OPEN)
        self.case_id = await self.ledger.read(lambda rows: rows.execute(query).scalar_one())
        self.claimed = Claimed(self.case_id, 1)
        self.by = "eve"

    async def release(self) -> None:
        self.now += 1_000_000
        await self.ledger.write(Release(Reviewer(self.by, self.now), self.claimed))

    async def status(self) -> str:
        query = sa.select(CASES.c.status).where(CASES.c.case_id == self.case_id)
        return STATUS[await self.ledger.read(lambda rows: rows.execute(query).scalar_one())]

    async def decisions(self) -> list[tuple[bytes, int, bool]]:
        """Decisions on the order in their order: content, decision, and whether a person made it."""
        query = (
            sa.select(PAYLOADS.c.content_digest, ENTRIES.c.decision, ENTRIES.c.facts)
            .join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence)
            .where(PAYLOADS.c.transaction_id == f"t{self.number}")
            .order_by(ENTRIES.c.sequence)
        )
        rows = await self.ledger.read(lambda connection: connection.execute(query).all())
        return [
            (row.content_digest, row.decision, DecisionFacts.FromString(row.facts).decision_maker == HUMAN)
            for row in rows
        ]


# States: how a case comes to be in each.
async def _open(world: _World) -> None:
    await world.open(0.5)


async def _open_unscored(world: _World) -> None:
    await world.open()


async def _claimed(world: _World) -> None:
    await world.open(0.5)
    await world.claim("ada")


async def _claimed_unscored(world: _World) -> None:
    await world.open()
    await world.claim("ada")


async def _claim_expired(world: _World) -> None:
    await _claimed_unscored(world)
    world.now += LEASE + 1


async def _released(world: _World) -> None:
    await _claimed_unscored(world)
    await world.release()


async def _resolved(world: _World) -> None:
    await world.open()
    await world.judge("ada", DENY)


async def _closed_by_rescoring(world: _World) -> None:
    await world.open()
    await _rescore(world)


async def _second_open(world: _World) -> None:
    await world.open()
    await world.judge("ada", DENY, drawn=True)
    await world.next_look()


async def _second_claimed(world: _World) -> None:
    await _second_open(world)
    await world.claim("bob")


async def _second_resolved(world: _World) -> None:
    await _second_claimed(world)
    await world.decide(DENY)


async def _third_open(world: _World) -> None:
    await _second_claimed(world)
    await world.decide(APPROVE)
    await world.next_look()


async def _third_claimed(world: _World) -> None:
    await _third_open(world)
    await world.claim("eve")


async def _third_resolved(world: _World) -> None:
    await _third_claimed(world)
    await world.decide(APPROVE)


async def _held_open(world: _World) -> None:
    await world.open(held=True)


async def _held_claimed(world: _World) -> None:
    await _held_open(world)
    await world.claim("ada")


async def _held_for_second(world: _World) -> None:
    await _held_claimed(world)
    await world.decide(DENY)
    await world.next_look()


async def _held_second_claimed(world: _World) -> None:
    await _held_for_second(world)
    await world.claim("bob")


async def _held_third_open(world: _World) -> None:
    await _held_second_claimed(world)
    await world.decide(APPROVE)
    await world.next_look()


async def _held_resolved(world: _World) -> None:
    await _held_second_claimed(world)
    await world.decide(DENY)


async def _golden_open(world: _World) -> None:
    await world.open(0.5, golden=DENY)


async def _golden_claimed(world: _World) -> None:
    await _golden_open(world)
    await world.claim("ada")


async def _golden_resolved(world: _World) -> None:
    await _golden_claimed(world)
    await world.decide(APPROVE)


async def _erased(world: _World) -> None:
    await world.open()
    await _erase(world)


async def _erased_claimed(world: _World) -> None:
    await _claimed_unscored(world)
    await _erase(world)


async def _resolved_then_changed(world: _World) -> None:
    await _resolved(world)
    await _submit_changed(world)


# Events.
async def _submit_again(world: _World) -> None:
    await world.ledger.write(keep(world.number, APPROVE, 0.95, user_id=f"user-{world.number}"))


async def _submit_changed(world: _World) -> None:
    changed = keep(world.number, APPROVE, 0.95, user_id=f"user-{world.number}", order_amount=random.uniform(1, 9))
    await world.ledger.write(changed)


async def _claim(world: _World) -> None:
    await world.claim("fay")


async def _renew(world: _World) -> None:
    await world.ledger.write(Renew(Reviewer(world.by, world.now), LEASE, world.claimed))


async def _release(world: _World) -> None:
    await world.release()


async def _decide(world: _World) -> None:
    await world.decide(DENY)


async def _decide_twice(world: _World) -> None:
    await world.decide(DENY)
    await world.decide(APPROVE)


async def _rescore(world: _World) -> None:
    """As the background task does: what it finds is what it scores."""
    for case_id, row in await world.waiting():
        await world.ledger.write(rescored(POLICY, case_id, row, PredictResponse(legitimacy_score=0.95)))


async def _rescore_late(world: _World) -> None:
    """A rescoring that read the case when it was opened, and writes only now."""
    if world.unscored is not None:
        late = rescored(POLICY, world.case_id, world.unscored, PredictResponse(legitimacy_score=0.95))
        await world.ledger.write(late)


async def _golden(world: _World) -> None:
    scorer: Any = _Scorer()
    golden = GoldenCases(
        world.ledger, scorer, CurrentPolicy(POLICY), [GoldenOrder(message(), DENY)], 1.0, random.Random(world.number)
    )
    assert await golden.open_like(world.order(), "shop")


async def _erase(world: _World) -> None:
    await world.ledger.write(Erase(user_id=f"user-{world.number}"))


async def _expire(world: _World) -> None:
    """Time passes, until somebody else wants the case."""
    world.now += LEASE + 1
    await world.claim("fay")


EVENTS: dict[str, Callable[[_World], Awaitable[None]]] = {
    "submit again": _submit_again, "submit changed": _submit_changed, "claim": _claim, "renew": _renew,
    "release": _release, "decide": _decide, "decide twice": _decide_twice, "rescore": _rescore,
    "rescore late": _rescore_late, "golden": _golden, "erase": _erase, "expire": _expire,
}  # fmt: skip
STATES: dict[str, Callable[[_World], Awaitable[None]]] = {
    "open": _open, "open, unscored": _open_unscored, "claimed": _claimed, "claimed, unscored": _claimed_unscored,
    "claim expired": _claim_expired, "released": _released, "resolved": _resolved,
    "closed by rescoring": _closed_by_rescoring, "resolved, then changed": _resolved_then_changed,
    "second open": _second_open, "second claimed": _second_claimed, "second resolved": _second_resolved,
    "third open": _third_open, "third claimed": _third_claimed, "third resolved": _third_resolved,
    "held open": _held_open, "held claimed": _held_claimed, "held for a second person": _held_for_second,
    "held, second claimed": _held_second_claimed, "held, third open": _held_third_open,
    "held, resolved": _held_resolved, "golden open": _golden_open, "golden claimed": _golden_claimed,
    "golden resolved": _golden_resolved, "erased": _erased, "erased, claimed": _erased_claimed,
}  # fmt: skip
TABLE = {
    # state: submit again, changed, claim, renew, release, decide, decide twice, rescore, late, golden, erase, expire
    "open":                     "ORCxxxxOOORC",
    "open, unscored":           "ORCxxxxRRORC",
    "claimed":                  "CCxCORxCCCRC",
    "claimed, unscored":        "CCxCORxCCCRC",
    "claim expired":            "CCCxxxxCCCRC",
    "released":                 "ORCxxxxRRORC",
    "resolved":                 "RRxxxxxRRRRx",
    "closed by rescoring":      "RRxxxxxRRRRx",
    "resolved, then changed":   "RRxxxxxRRRRx",
    "second open":              "OOCxxxxOOORC",
    "second claimed":           "CCxCORxCCCRC",
    "second resolved":          "RRxxxxxRRRRx",
    "third open":               "OOCxxxxOOORC",
    "third claimed":            "CCxCORxCCCRC",
    "third resolved":           "RRxxxxxRRRRx",
    "held open":                "ORCxxxxOOORC",
    "held claimed":             "CCxCORxCCCRC",
    "held for a second person": "OOCxxxxOOORC",
    "held, second claimed":     "CCxCORxCCCRC",
    "held, third open":         "OOCxxxxOOORC",
    "held, resolved":           "RRxxxxxRRRRx",
    "golden open":              "RRCxxxxOOORC",
    "golden claimed":           "RRxCORxCCCRC",
    "golden resolved":          "RRxxxxxRRRRx",
    "erased":                   "RRxxxxxRRRRx",
    "erased, claimed":          "RRxxxxxRRRRx",
}  # fmt: skip
"""What the case is after the event: O open, C claimed, R resolved; x where the event is refused and changes nothing.

A golden case is closed when a real order comes with its id: that one is decided normally. An erasure closes a case: nothing is
left to decide on.
"""


def test_every_state_and_event_has_a_cell() -> None:
    """A new state or event without its place in the table fails."""
    assert TABLE.keys() == STATES.keys()
    assert all(len(row) == len(EVENTS) for row in TABLE.values())


async def test_no_machine_changes_what_a_person_decided(ledger_url: str) -> None:
    """Each pair of state and event does what the table says; behind a person's revision of a content no machine makes one."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    for name in ("bob", "eve", "ada"):  # so that somebody else is there for second looks
        earlier = _World(ledger, f"earlier-{name}")
        await earlier.open(0.5)
        await earlier.judge(name, APPROVE)
    wrong: list[str] = []
    places = list(enumerate(STATES))
    for first in range(0, len(places), AT_ONCE):  # the events of some states at once: each has an order of its own
        happenings = [
            _pair(_World(ledger, f"{place}-{column}"), state, column)
            for place, state in places[first : first + AT_ONCE]
            for column in range(len(EVENTS))
        ]
        for problems in await asyncio.gather(*happenings):
            wrong += problems
    assert not wrong, "\n".join(wrong)
    with engine.connect() as connection:
        assert not verify(rows_of(connection), end_of(connection), None).broken
    ledger.close()


async def _pair(world: _World, state: str, column: int) -> list[str]:
    """What is wrong when an event happens to a case in a state."""
    event, happen = list(EVENTS.items())[column]
    await STATES[state](world)
    before, status = await world.decisions(), await world.status()
    try:
        await happen(world)
    except VouchError:
        outcome = REFUSED
    except Exception as error:
        outcome = type(error).__name__
    else:
        outcome = await world.status()
    after = await world.decisions()
    wrong = _problems(before, after, event)
    if outcome == REFUSED and event != "decide twice" and (before, status) != (after, await world.status()):
        wrong.append("refused, and yet something changed")
    if outcome != TABLE[state][column]:
        wrong.append(f"{outcome} instead of {TABLE[state][column]}")
    return [f"{state} / {event}: {problem}" for problem in wrong]


def _problems(before: list[tuple[bytes, int, bool]], after: list[tuple[bytes, int, bool]], event: str) -> list[str]:
    """What must not be, whatever the pair."""
    found = []
    judged = set[bytes]()
    for content, _, by_person in after:
        if content in judged and not by_person:
            found.append("a machine decided behind a person")
        if by_person:
            judged.add(content)
    if event != "erase" and after[: len(before)] != before and not event.startswith("submit"):
        found.append("a decision was changed")
    people = [decision for _, decision, by_person in before if by_person]
    if event.startswith("rescore") and people and after != before:
        found.append("rescoring wrote behind a person's verdict")
    return found
