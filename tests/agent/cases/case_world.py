"""One case in a real ledger, and what people and the agent can do to it."""

import random
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from agent_server.cases.claims import CaseClaim, Claim, Release, Reviewer
from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.cases.rescoring import unscored_cases
from agent_server.cases.tables import CASES
from agent_server.cases.verdicts import Resolve, Verdict
from agent_server.ledger import Ledger
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.schema import ENTRIES, HEAD, PAYLOADS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.inputs.orders import message
from testing.ledger.decisions import answer_for

APPROVE, DENY, HUMAN = pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_MAKER_HUMAN
LEASE = 600_000_000
STATUS = {cases.CASE_STATUS_OPEN: "O", cases.CASE_STATUS_CLAIMED: "C", cases.CASE_STATUS_RESOLVED: "R"}


class VerdictCall:
    """The part of a call that a verdict reads."""

    request_id = "verdict"


@dataclass
class World:
    """One case in one state, and what the next event needs."""

    ledger: Ledger
    number: str
    now: int = 1_000_000
    case_id: str = ""
    by: str = "eve"
    claimed: CaseClaim = field(default_factory=lambda: CaseClaim("", 1))
    unscored: Any = None
    """The row of the decision as rescoring read it before any other event."""
    before: int = 0
    """The sequence number before the order's first decision."""
    drawn: bool = False
    """Whether a blind review follows the next verdict."""

    def order(self, **fields: Any) -> Transaction:
        """Return the order, whose id and user depend on the number."""
        return message(transaction_id=f"t{self.number}", user_id=f"user-{self.number}", **fields)

    async def open(
        self, score: float | None = None, *, held: bool = False, golden: pb.Decision = pb.DECISION_UNSPECIFIED
    ) -> None:
        """Record a decision of the order that opens a case: with a score it is uncertain, else unscored."""
        reason = cases.CASE_REASON_UNCERTAIN if score is not None else cases.CASE_REASON_UNSCORED
        opening = NewCase(f"{random.getrandbits(128):032x}", reason, held=held, golden=golden)
        order = self.order()
        answer = answer_for(order.transaction_id, score=score)
        self.before = await self.ledger.read(lambda rows: rows.execute(sa.select(HEAD.c.sequence)).scalar_one())
        recorded = await self.ledger.write(
            RecordDecision(order, answer, DecisionContext("shop", "", "d" * 64), opening)
        )
        self.case_id = recorded.answer.case_id
        self.claimed = CaseClaim(self.case_id, 1)
        if score is None:
            self.unscored = next((row for _, row in await self.waiting()), None)

    async def waiting(self) -> list[tuple[str, Any]]:
        """Return the unscored cases of this order, as rescoring reads them."""
        found = await self.ledger.read(unscored_cases(100, self.before))
        return [(case_id, row) for case_id, row in found if row.transaction_id == f"t{self.number}"]

    async def claim(self, name: str) -> None:
        """Claim the case as a reviewer."""
        self.now += 1_000_000
        claimed = await self.ledger.write(Claim(Reviewer(name, self.now), LEASE, self.case_id))
        assert claimed is not None
        self.by, self.claimed = name, claimed

    async def decide(self, verdict: pb.Decision) -> None:
        """Resolve the claimed case with a verdict."""
        self.now += 1_000_000
        by, decided = Reviewer(self.by, self.now), Verdict(self.claimed, verdict)
        await self.ledger.write(Resolve(by, decided, VerdictCall(), lambda: self.drawn))  # type: ignore[arg-type]

    async def judge(self, name: str, verdict: pb.Decision, *, drawn: bool = False) -> None:
        """Claim the case and resolve it; `drawn` says whether a blind review follows."""
        await self.claim(name)
        self.drawn = drawn
        await self.decide(verdict)
        self.drawn = False

    async def next_review(self) -> None:
        """Continue with the blind review that is open on the order."""
        first = sa.select(CASES.c.review_of).where(CASES.c.case_id == self.case_id).scalar_subquery()
        about = sa.or_(CASES.c.review_of == self.case_id, sa.and_(CASES.c.review_of != "", CASES.c.review_of == first))
        query = sa.select(CASES.c.case_id).where(about, CASES.c.status == cases.CASE_STATUS_OPEN)
        self.case_id = await self.ledger.read(lambda rows: rows.execute(query).scalar_one())
        self.claimed = CaseClaim(self.case_id, 1)
        self.by = "eve"

    async def release(self) -> None:
        """Release the claim."""
        self.now += 1_000_000
        await self.ledger.write(Release(Reviewer(self.by, self.now), self.claimed))

    async def status(self) -> str:
        """Return the status of the case, as a letter of the table."""
        query = sa.select(CASES.c.status).where(CASES.c.case_id == self.case_id)
        return STATUS[await self.ledger.read(lambda rows: rows.execute(query).scalar_one())]

    async def decisions(self) -> list[tuple[bytes, int, bool]]:
        """Return the decisions on the order, oldest first: content digest, decision, and whether a person decided."""
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
