"""Every state of a case with every event: the allowed ones, and that no machine changes a person's decision."""

import asyncio

from agent_server.audit.verify import read_head, rows_of, verify
from agent_server.ledger import Ledger, open_engine
from runtime.errors import VouchError
from tests.agent.cases.case_states import EVENTS, STATES
from tests.agent.cases.case_world import APPROVE, World

AT_ONCE = 6
"""States whose events run concurrently: fewer pairs than the unscored cases that rescoring reads at once."""
REFUSED = "x"
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
"""State of the case after the event: O open, C claimed, R resolved; x if the event is refused and changes nothing.

A real order with the id of a golden case closes that case and is decided normally. An erasure closes a case: nothing is
left to decide.
"""


def test_every_state_and_event_has_a_cell() -> None:
    """A new state or event without a cell in the table fails."""
    assert TABLE.keys() == STATES.keys()
    assert all(len(row) == len(EVENTS) for row in TABLE.values())


async def test_no_machine_changes_what_a_person_decided(ledger_url: str) -> None:
    """Each pair of state and event has the outcome in the table; no machine revises content that a person decided."""
    engine = open_engine(ledger_url)
    ledger = Ledger(engine)
    for name in ("bob", "eve", "ada"):  # so that blind reviews have another reviewer to go to
        earlier = World(ledger, f"earlier-{name}")
        await earlier.open(0.5)
        await earlier.judge(name, APPROVE)
    wrong: list[str] = []
    places = list(enumerate(STATES))
    for first in range(0, len(places), AT_ONCE):  # the events of some states run concurrently, each with its own order
        happenings = [
            _pair(World(ledger, f"{place}-{column}"), state, column)
            for place, state in places[first : first + AT_ONCE]
            for column in range(len(EVENTS))
        ]
        for problems in await asyncio.gather(*happenings):
            wrong += problems
    assert not wrong, "\n".join(wrong)
    with engine.connect() as connection:
        assert not verify(rows_of(connection), read_head(connection), None).broken
    ledger.close()


async def _pair(world: World, state: str, column: int) -> list[str]:
    """Return the errors when an event happens to a case in a state."""
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
    """Return the violations of rules that apply to every pair."""
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
