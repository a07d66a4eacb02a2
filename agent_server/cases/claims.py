"""Claims: a reviewer takes a case for a limited time, and gets a token that names this claim.

A claim is a lease: it expires, so that a closed laptop does not block a case. The token of each claim is higher than
those before it, and a call with an older token is refused. All of this is written in the ledger's one order of writes,
so that two agents on one database never give a case to two reviewers.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from agent_server.cases.lifecycle import add_change, add_event, change_state, not_available, read_case, state_of
from agent_server.cases.states import Event, next_state
from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.ledger.records import timestamp
from agent_server.ledger.schema import PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import NotAvailable

OPEN, CLAIMED, RESOLVED = cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED, cases.CASE_STATUS_RESOLVED
_OTHERS = CASES.alias("others")


@dataclass(frozen=True)
class Reviewer:
    """A reviewer. `at` is the time of the call, in microseconds since 1970; None for the ledger's own clock.

    Agents leave it at None: their clocks may differ, and a claim would expire early by the clock that is ahead.
    """

    name: str
    at: int | None = None

    def now(self, tx: LedgerTransaction) -> int:
        """Return the time of the call."""
        return tx.now if self.at is None else self.at


@dataclass(frozen=True)
class CaseClaim:
    """A claimed case, and the token of the claim."""

    case_id: str
    token: int


class Claim:
    """Claims the case `case_id`, or the most urgent one, for `lease` microseconds. Returns None if there is none.

    Without a `case_id`, cases that the reviewer released within the last `pause` microseconds are skipped.
    """

    def __init__(self, reviewer: Reviewer, lease: int, case_id: str = "", pause: int = 0) -> None:
        self._reviewer, self._lease, self._case_id, self._pause = reviewer, lease, case_id, pause

    def __call__(self, tx: LedgerTransaction) -> CaseClaim | None:
        """Claim it. Raises NotFound, or NotAvailable if it is claimed by another reviewer, resolved, or erased."""
        now = self._reviewer.now(tx)
        case_id = self._case_id or _most_urgent(tx, self._reviewer.name, now, self._pause)
        if not case_id:
            return None
        case = read_case(tx, case_id)
        event = Event.RECLAIM if _is_held_by(case, self._reviewer.name) else Event.CLAIM
        if next_state(state_of(case, now), event) is not None:
            if not _has_payload(tx, case):
                raise order_erased(case)
            if self._case_id and not _may_judge(tx, self._reviewer.name, case_id):
                raise not_available("you judged this order before; another reviewer has to", case.status)
        token = case.claim_token + 1
        change_state(
            tx, case, event, now,
            reviewer=self._reviewer.name, claimed_until=now + self._lease, claimed_at=now, claim_token=token,
        )  # fmt: skip
        add_event(tx, case_id, now, cases.CASE_EVENT_KIND_CLAIMED, self._reviewer.name)
        return CaseClaim(case_id, token)


class Renew:
    """Lets a claim end `lease` microseconds from now."""

    def __init__(self, reviewer: Reviewer, lease: int, claimed: CaseClaim) -> None:
        self._reviewer, self._lease, self._claimed = reviewer, lease, claimed

    def __call__(self, tx: LedgerTransaction) -> None:
        """Extend it. Raises NotFound, or NotAvailable if the caller no longer has the claim."""
        case, now = read_claimed_case(tx, self._claimed, self._reviewer), self._reviewer.now(tx)
        change_state(tx, case, Event.RENEW, now, claimed_until=now + self._lease)
        add_change(tx, self._claimed.case_id, cases.CASE_EVENT_KIND_RENEWED)


class Release:
    """Releases a claimed case."""

    def __init__(self, reviewer: Reviewer, claimed: CaseClaim) -> None:
        self._reviewer, self._claimed = reviewer, claimed

    def __call__(self, tx: LedgerTransaction) -> None:
        """Release it. Raises NotFound, or NotAvailable if the caller no longer has the claim."""
        case, by = read_claimed_case(tx, self._claimed, self._reviewer), self._reviewer
        now = by.now(tx)
        change_state(tx, case, Event.RELEASE, now, reviewer="", claimed_until=None, claimed_at=None)
        add_event(tx, case.case_id, now, cases.CASE_EVENT_KIND_RELEASED, by.name)


class Comment:
    """Adds a comment to a case's history, and returns it as recorded."""

    def __init__(self, reviewer: Reviewer, case_id: str, text: str) -> None:
        self._reviewer, self._case_id, self._text = reviewer, case_id, text

    def __call__(self, tx: LedgerTransaction) -> cases.CaseEvent:
        """Add it. Raises NotFound, or NotAvailable if the order was erased: a later comment could not be erased."""
        case = read_case(tx, self._case_id)
        if not _has_payload(tx, case):
            raise order_erased(case)
        kind, by, now = cases.CASE_EVENT_KIND_COMMENTED, self._reviewer.name, self._reviewer.now(tx)
        number = add_event(tx, self._case_id, now, kind, by, self._text)
        return cases.CaseEvent(number=number, at=timestamp(now), kind=kind, actor=by, text=self._text)


def read_claimed_case(tx: LedgerTransaction, claimed: CaseClaim, reviewer: Reviewer) -> Any:
    """Return the row of a case that the reviewer claimed. Raises NotFound, or NotAvailable with the reason."""
    case = read_case(tx, claimed.case_id)
    if case.status != CLAIMED:
        if not _has_payload(tx, case):
            raise order_erased(case)  # the erasure closed the case
        message = "case is resolved" if case.status == RESOLVED else "case is not claimed; claim it first"
        raise not_available(message, case.status)
    if case.claim_token != claimed.token or case.reviewer != reviewer.name:
        raise not_available("claim is not the latest; the case was claimed again since", case.status)
    if case.claimed_until <= reviewer.now(tx):
        raise not_available("claim has expired; claim the case again", case.status)
    return case


def order_erased(case: Any) -> NotAvailable:
    """Return the error for a case whose order was erased."""
    return not_available("order of this case was erased", case.status)


def _most_urgent(tx: LedgerTransaction, name: str, now: int, pause: int) -> str:
    """Return the most urgent case that this reviewer may claim; empty for none.

    It is open or its claim has expired, its order was not erased, and the reviewer did not release it within `pause`.
    """
    ran_out = sa.and_(CASES.c.status == CLAIMED, CASES.c.claimed_until <= now)
    chosen = _reviewable_cases(name).where(
        sa.or_(CASES.c.status == OPEN, ran_out),
        sa.exists().where(PAYLOADS.c.sequence == CASES.c.sequence),
        ~_released_since(name, now - pause),
    )
    return str(tx.execute(chosen.order_by(CASES.c.urgency, CASES.c.case_id).limit(1)).scalar() or "")


def _released_since(name: str, since: int) -> sa.ColumnElement[bool]:
    """Return the condition that a reviewer released a case since a moment, at any agent: its history says so."""
    return sa.exists().where(
        CASE_EVENTS.c.case_id == CASES.c.case_id, CASE_EVENTS.c.kind == int(cases.CASE_EVENT_KIND_RELEASED),
        CASE_EVENTS.c.actor == name, CASE_EVENTS.c.at > since,
    )  # fmt: skip


def _has_payload(tx: LedgerTransaction, case: Any) -> bool:
    """Return whether the order of a case is still there, not erased."""
    chosen = sa.select(PAYLOADS.c.sequence).where(PAYLOADS.c.sequence == case.sequence)
    return tx.execute(chosen).first() is not None


def _reviewable_cases(name: str) -> sa.Select[tuple[str]]:
    """Select the ids of cases, except for cases on orders that this reviewer has judged before."""
    mine = sa.or_(_OTHERS.c.case_id == CASES.c.review_of, _OTHERS.c.review_of == CASES.c.review_of)
    judged = sa.exists().where(mine, _OTHERS.c.case_id != CASES.c.case_id, _OTHERS.c.reviewer == name)
    return sa.select(CASES.c.case_id).where(sa.or_(CASES.c.review_of == "", sa.not_(judged)))


def _may_judge(tx: LedgerTransaction, name: str, case_id: str) -> bool:
    return tx.execute(_reviewable_cases(name).where(CASES.c.case_id == case_id)).first() is not None


def _is_held_by(case: Any, name: str) -> bool:
    return bool(case.status == CLAIMED and case.reviewer == name)
