"""The state machine of a case, pair by pair."""

import itertools

import pytest

from agent_server.cases.states import TRANSITIONS, AfterVerdict, Event, State, after_verdict, next_state

WAITING = {State.OPEN, State.CLAIMED, State.EXPIRED}
ALLOWED = {
    Event.CLAIM: {State.OPEN, State.EXPIRED},
    Event.RECLAIM: {State.CLAIMED, State.EXPIRED},
    Event.RENEW: {State.CLAIMED},
    Event.RELEASE: {State.CLAIMED},
    Event.RESOLVE: {State.CLAIMED},
    Event.RESCORE: WAITING,
    Event.REVISE: {State.OPEN},
    Event.DECIDE: {State.OPEN},
    Event.ERASE: WAITING,
}
"""The states that allow each event: the same table as TRANSITIONS, by event."""
LEADS_TO = {
    Event.CLAIM: State.CLAIMED, Event.RECLAIM: State.CLAIMED, Event.RENEW: State.CLAIMED, Event.RELEASE: State.OPEN,
    Event.RESOLVE: State.RESOLVED, Event.DECIDE: State.RESOLVED, Event.ERASE: State.RESOLVED,
}  # fmt: skip


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_pair_of_state_and_event(state: State, event: Event) -> None:
    """Each event is allowed in its states and refused in all others; scores and revisions do not change the state."""
    expected = LEADS_TO.get(event, state) if state in ALLOWED[event] else None
    assert next_state(state, event) is expected


def test_a_resolved_case_stays_resolved() -> None:
    """No event leads away from a verdict."""
    assert not [event for (state, event) in TRANSITIONS if state is State.RESOLVED]


@pytest.mark.parametrize(
    ("round_", "held", "drawn", "agrees", "expected"),
    [
        (1, False, False, True, AfterVerdict(is_decision=True)),
        (1, False, True, True, AfterVerdict(is_decision=True, next_round=2, hides=True)),
        (1, True, False, True, AfterVerdict(next_round=2)),
        (1, True, True, True, AfterVerdict(next_round=2)),
        (2, False, False, True, AfterVerdict(reveals=True)),
        (2, True, False, True, AfterVerdict(is_decision=True, reveals=True)),
        (2, False, False, False, AfterVerdict(next_round=3)),
        (2, True, False, False, AfterVerdict(next_round=3)),
        (3, False, False, True, AfterVerdict(reveals=True)),
        (3, False, False, False, AfterVerdict(is_decision=True, reveals=True)),
        (3, True, False, True, AfterVerdict(is_decision=True, reveals=True)),
        (3, True, False, False, AfterVerdict(is_decision=True, reveals=True)),
    ],
)  # fmt: skip
def test_the_outcome_of_a_verdict(round_: int, held: bool, drawn: bool, agrees: bool, expected: AfterVerdict) -> None:
    """A verdict applies at once, waits for a second reviewer, or for a third, as documented."""
    assert after_verdict(round_, held=held, drawn=drawn, agrees=agrees) == expected
