"""The states of a case and what each event makes of them. Pure.

    open    ── claim ───────────▶ claimed
    claimed ── release ─────────▶ open
    claimed ── the lease ends ──▶ expired ── claim ──▶ claimed
    claimed ── resolve ─────────▶ resolved
    open    ── decide ──────────▶ resolved
    all     ── erase ───────────▶ resolved

`expired` is a claim whose lease is over: it is stored as claimed, and is as free to take as an open case. TRANSITIONS has
every pair. A verdict may
lead to another, blind review of the same order. That is a case of its own, with `round` 2 or 3: see `after_verdict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final


class State(Enum):
    """The state of a case."""

    OPEN = auto()
    CLAIMED = auto()
    EXPIRED = auto()
    RESOLVED = auto()


class Event(Enum):
    """What happens to a case."""

    CLAIM = auto()
    """Another reviewer takes it."""
    RECLAIM = auto()
    """The reviewer who has it takes it again, and gets a new token."""
    RENEW = auto()
    RELEASE = auto()
    RESOLVE = auto()
    """The reviewer who has it gives a verdict."""
    RESCORE = auto()
    """The order gets a score, and still needs a person."""
    REVISE = auto()
    """The order was sent again with other content, and still needs a person."""
    DECIDE = auto()
    """A later decision, by the policy, needs no person any more."""
    ERASE = auto()
    """The order was erased: nothing is left to decide on."""


TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = {
    (State.OPEN, Event.CLAIM): State.CLAIMED,
    (State.EXPIRED, Event.CLAIM): State.CLAIMED,
    (State.CLAIMED, Event.RECLAIM): State.CLAIMED,
    (State.EXPIRED, Event.RECLAIM): State.CLAIMED,
    (State.CLAIMED, Event.RENEW): State.CLAIMED,
    (State.CLAIMED, Event.RELEASE): State.OPEN,
    (State.CLAIMED, Event.RESOLVE): State.RESOLVED,
    (State.OPEN, Event.RESCORE): State.OPEN,
    (State.CLAIMED, Event.RESCORE): State.CLAIMED,
    (State.EXPIRED, Event.RESCORE): State.EXPIRED,
    (State.OPEN, Event.REVISE): State.OPEN,
    (State.OPEN, Event.DECIDE): State.RESOLVED,
    (State.OPEN, Event.ERASE): State.RESOLVED,
    (State.CLAIMED, Event.ERASE): State.RESOLVED,
    (State.EXPIRED, Event.ERASE): State.RESOLVED,
}
"""Every transition that is allowed; a pair that is missing is refused."""


def next_state(state: State, event: Event) -> State | None:
    """Return the state after an event; None where a case in this state does not allow it."""
    return TRANSITIONS.get((state, event))


@dataclass(frozen=True)
class AfterVerdict:
    """Effects of a verdict besides resolving its case."""

    is_decision: bool = False
    """It is recorded as a revision of the order's decision."""
    next_round: int = 0
    """The round of the blind review that it opens; 0 for none."""
    hides: bool = False
    """The decision is hidden from reviewers, and does not count in history, until the blind review is resolved."""
    reveals: bool = False
    """The hidden decision of an earlier round is revealed."""


def after_verdict(round_: int, *, held: bool, drawn: bool = False, agrees: bool = True) -> AfterVerdict:
    """Return what a verdict in round 1, 2 or 3 leads to.

    `held` cases need two reviewers who agree, or a third. Of other cases the first verdict stands at once; one that is
    `drawn` is reviewed again, blindly. `agrees` says whether a later verdict is that of round 1.
    """
    if round_ == 1:
        if held:
            return AfterVerdict(next_round=2)
        return AfterVerdict(is_decision=True, next_round=2 if drawn else 0, hides=drawn)
    if round_ == 2 and not agrees:
        return AfterVerdict(next_round=3)
    return AfterVerdict(is_decision=held or not agrees, reveals=True)
