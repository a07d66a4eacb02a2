"""Keeping a decision: once for the same content, a new revision for other content, with the case that hangs on it."""

import os
from dataclasses import dataclass, field

import sqlalchemy as sa

from agent_server.cases.events import add_change, add_event
from agent_server.cases.golden_copies import withdraw_golden
from agent_server.decisions.urgency import DUE_SECONDS, due_at, expected_loss, head_start, urgency
from agent_server.ledger import attempts
from agent_server.ledger.chain import SALT_BYTES, Kind, commit_to
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.records import answer_of, content_digest, facts_of, microseconds, order_of, payload_of
from agent_server.ledger.schema import CASES, PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction, Revision
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction

NOT_YET, NEVER = 0, -1
"""`counts_from` of a verdict that is hidden, and of one that was hidden until a later decision took its place."""
OPEN, CLAIMED, RESOLVED = cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED, cases.CASE_STATUS_RESOLVED


@dataclass(frozen=True)
class RecordedDecision:
    """The answer that is in the ledger, and whether it was there before this call."""

    answer: pb.ReviewResponse
    replayed: bool = False


@dataclass(frozen=True)
class HistoryPosition:
    """An order's place in memory: its number there, and how many attempts there were when its past was read. 0 for none."""

    number: int = 0
    read: int = 0


@dataclass(frozen=True)
class DecisionContext:
    """How a decision came about: who asked, by which request, under which policy, and what memory had of the order."""

    caller: str
    request_id: str
    policy_digest: str
    seen: HistoryPosition = field(default_factory=HistoryPosition)


@dataclass(frozen=True)
class NewCase:
    """How a case is opened, if one is: its id, why, how long it may wait, whether it needs two who agree, and the right verdict
    where the order is a golden one.
    """

    case_id: str
    reason: cases.CaseReason
    due_seconds: float = DUE_SECONDS
    held: bool = False
    golden: pb.Decision = pb.DECISION_UNSPECIFIED

    @property
    def kind(self) -> Kind:
        """What the decision is in the chain."""
        return Kind.GOLDEN if self.golden else Kind.DECISION


@dataclass(frozen=True)
class VerdictDetails:
    """What a reviewer says beside the verdict."""

    note: str = ""
    abuse_type: str = ""
    reason_code: str = ""


class RecordDecision:
    """Keeps a decision with its order. `answer` has no revision yet; `opening` tells of the case to open, if any."""

    def __init__(
        self, transaction: Transaction, answer: pb.ReviewResponse, asked: DecisionContext, opening: NewCase
    ) -> None:
        self.transaction_id = transaction.transaction_id
        self._transaction, self._answer = transaction, answer
        self._digest = content_digest(transaction)
        self._asked = asked
        self._opening = opening

    def __call__(self, tx: LedgerTransaction) -> RecordedDecision:
        """Keep it, or give what was kept for the same content."""
        kind = self._opening.kind
        known = find_recorded(tx, self.transaction_id, self._digest, kind)
        if known is not None:
            return known
        if kind is Kind.DECISION:
            withdraw_golden(tx, self.transaction_id)
        revisions = tx.revisions(self.transaction_id, kind)
        answer = self._answer
        answer.revision = revisions[-1].revision + 1 if revisions else 1
        answer.replaces_decision_id = revisions[-1].decision_id if revisions else ""
        before = _open_case(tx, revisions)
        if answer.decision == pb.DECISION_REVIEW:
            answer.case_id = before.case_id if before else self._opening.case_id
        sequence = append_decision(tx, self._transaction, answer, self._digest, self._asked, kind=kind)
        if before:
            move_case(tx, before.case_id, self._transaction, answer, sequence)
        elif answer.decision == pb.DECISION_REVIEW:
            tx.insert(CASES, _case_row(self._transaction, answer, sequence, self._opening))
            add_change(tx, answer.case_id, cases.CASE_EVENT_KIND_OPENED)
        return RecordedDecision(answer)


def find_recorded(
    tx: LedgerTransaction, transaction_id: str, digest: bytes, kind: Kind = Kind.DECISION
) -> RecordedDecision | None:
    """The answer that the same order got before."""
    same = [known for known in tx.revisions(transaction_id, kind) if known.content_digest == digest]
    if not same:
        return None
    row = tx.execute(DECIDED.where(PAYLOADS.c.sequence == same[-1].sequence)).one()
    return RecordedDecision(answer_of(row), replayed=True)


def append_decision(
    tx: LedgerTransaction, transaction: Transaction, answer: pb.ReviewResponse, digest: bytes, asked: DecisionContext,
    kind: Kind = Kind.DECISION, *, hidden: bool = False,
) -> int:  # fmt: skip
    """Append a decision whose revision is set; its sequence number is returned.

    A `hidden` one changes nothing in memory, where others could read it off: `show_verdict` does, once it is hidden no more.
    """
    payload = payload_of(answer, transaction, asked.request_id).SerializeToString()
    facts = facts_of(answer, asked.caller, asked.policy_digest)
    if asked.seen.number:
        facts.memory_number, facts.memory_read, facts.memory_kept = asked.seen.number, asked.seen.read, tx.attempts
        if not hidden:
            denied = answer.decision == pb.DECISION_DENY
            attempts.decide(tx, transaction, asked.seen.number, denied=denied, again=answer.revision > 1)
    transaction_id, user_id, salt = transaction.transaction_id, transaction.user_id, os.urandom(SALT_BYTES)
    sequence = tx.append(
        kind,
        answer.decision_id,
        microseconds(answer.decided_at),
        facts.SerializeToString(),
        decision=answer.decision,
        commitment=commit_to(salt, transaction_id, user_id, digest, payload),
    )
    tx.insert(
        PAYLOADS,
        {
            "sequence": sequence, "transaction_id": transaction_id, "user_id": user_id, "content_digest": digest,
            "salt": salt, "payload": payload, "memory_number": asked.seen.number or None,
        },
    )  # fmt: skip
    by_person = answer.decision_maker == pb.DECISION_MAKER_HUMAN
    revision = Revision(sequence, answer.decision_id, digest, answer.revision, asked.seen.number, by_person)
    tx.revisions(transaction_id, kind).append(revision)
    return sequence


def show_verdict(tx: LedgerTransaction, entry: int) -> None:
    """Let a verdict that was hidden count in history from now on, as one decided now.

    It never does where the order was decided anew meanwhile: its place is that of the later content. Does nothing where the
    verdict counts already.
    """
    row = tx.execute(DECIDED.add_columns(PAYLOADS.c.memory_number).where(PAYLOADS.c.sequence == entry)).first()
    is_latest = row is not None and tx.revisions(row.transaction_id, Kind(row.kind))[-1].sequence == entry
    hidden = sa.and_(CASES.c.hidden_entry == entry, CASES.c.counts_from == NOT_YET)
    counts_from = tx.attempts if is_latest else NEVER
    if not tx.execute(CASES.update().where(hidden).values(counts_from=counts_from)).rowcount:
        return
    if row is not None and is_latest and row.memory_number is not None:
        denied = answer_of(row).decision == pb.DECISION_DENY
        attempts.decide(tx, order_of(row), row.memory_number, denied=denied, again=True)


def move_case(
    tx: LedgerTransaction, case_id: str, transaction: Transaction, answer: pb.ReviewResponse, sequence: int, by: str = "",
    said: VerdictDetails = VerdictDetails(),
) -> None:  # fmt: skip
    """Hang a case on a later decision: it stays where that is a review, and is resolved where it is none.

    `by` is the reviewer who decided, with what they `said`; nobody where the order was decided without one.
    """
    at, score = microseconds(answer.decided_at), _score(answer)
    loss = expected_loss(transaction, score)
    changed: dict[str, object] = {
        "sequence": sequence, "legitimacy_score": score, "recommendation": _recommended(answer),
        "expected_loss": loss, "urgency": CASES.c.opened_at - head_start(loss),
    }  # fmt: skip
    tx.execute(CASES.update().where(CASES.c.case_id == case_id).values(changed))
    if answer.decision == pb.DECISION_REVIEW:
        add_change(tx, case_id, cases.CASE_EVENT_KIND_UPDATED)
    else:
        by_human = answer.decision_maker == pb.DECISION_MAKER_HUMAN
        kind = cases.CASE_EVENT_KIND_RESOLVED if by_human else cases.CASE_EVENT_KIND_CLOSED
        end_case(tx, case_id, at, answer.decision, kind, by, said)


def end_case(
    tx: LedgerTransaction, case_id: str, at: int, verdict: pb.Decision, kind: cases.CaseEventKind, by: str = "", said: VerdictDetails = VerdictDetails()
) -> None:  # fmt: skip
    """Close a case with a verdict."""
    values: dict[str, object] = {"status": RESOLVED, "verdict": verdict, "resolved_at": at, "claimed_until": None}
    values |= {"note": said.note, "abuse_type": said.abuse_type, "reason_code": said.reason_code}
    tx.execute(CASES.update().where(CASES.c.case_id == case_id).values(values))
    add_event(tx, case_id, at, kind, by, said.note)


def _open_case(tx: LedgerTransaction, revisions: list[Revision]) -> sa.Row[tuple[str]] | None:
    """The case of the decision that is replaced, where nobody has resolved or taken it.

    No second or third look: it is at what somebody judged, and not at what comes later.
    """
    if not revisions:
        return None
    chosen = sa.select(CASES.c.case_id).where(
        CASES.c.sequence == revisions[-1].sequence, CASES.c.status == OPEN, CASES.c.round == 1
    )
    return tx.execute(chosen).first()


def _case_row(
    transaction: Transaction, answer: pb.ReviewResponse, sequence: int, opening: NewCase
) -> dict[str, object]:
    opened_at, score = microseconds(answer.decided_at), _score(answer)
    loss = expected_loss(transaction, score)
    return {
        "case_id": answer.case_id, "opened_by": sequence, "sequence": sequence, "status": OPEN,
        "reason": opening.reason, "held": opening.held, "golden": int(opening.golden),
        "opened_at": opened_at, "legitimacy_score": score, "recommendation": _recommended(answer), "reviewer": "",
        "resolved_at": None, "verdict": 0, "note": "", "expected_loss": loss, "urgency": urgency(opened_at, loss),
        "due_at": due_at(opened_at, opening.due_seconds), "claim_token": 0, "claimed_until": None,
        "claimed_at": None, "abuse_type": "", "reason_code": "", "round": 1, "review_of": "", "hidden_entry": None,
        "counts_from": None,
    }  # fmt: skip


def _score(answer: pb.ReviewResponse) -> float | None:
    return answer.legitimacy_score if answer.HasField("legitimacy_score") else None


def _recommended(answer: pb.ReviewResponse) -> int:
    return int(answer.agent_analysis.recommendation)
