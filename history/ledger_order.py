"""The features of orders in the order in which a ledger saw them, with late, revised and denied orders.

A table of single rows does not have this order. A ledger's export does: for each decision it has the numbers that say
when its order was recorded, when its features were read, and when it was denied or became an order again.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from history.definitions import DAY, DEFINITIONS, NEEDED, amount_units, is_known, key_text
from history.replay import Attempt, Replay, Value

_EPOCH = dt.datetime(1970, 1, 1)
COLUMNS = ("memory_number", "memory_read", "memory_kept", "memory_since", "denied")
"""Columns of an export besides the fields of orders."""


@dataclass(frozen=True)
class Step:
    """A decision, or an attempt without a decision. Numbers count attempts."""

    order_id: str
    attempt: Attempt
    opened: int | None
    """When the account was opened, in seconds since 1970."""
    since: int
    """The moment from which on history was complete."""
    read: int | None = None
    """The number of attempts when its features were read; None if they were not read, as for a person's verdict."""
    decided: int | None = None
    """The number of attempts when it was decided; None if it was not."""
    denied: bool = False
    replaces: tuple[int, ...] = ()
    """Attempts that were replaced, as exports of older versions name them. They have to be in the export."""


def step_of(row: Mapping[str, Any]) -> Step:
    """Return the step of a row of an export."""
    at, created, age = _seconds(row["timestamp"]), row.get("account_created_date"), row.get("account_age_days")
    opened = _seconds(created) if created is not None else None if age is None else at - int(age) * DAY
    texts = {name: key_text(name, row.get(name)) for name in NEEDED}
    attempt = Attempt(row["memory_number"], at, texts, amount_units(row.get("order_amount")))
    return Step(
        row["transaction_id"], attempt, opened, row["memory_since"], row["memory_read"], row["memory_kept"],
        bool(row["denied"]), tuple(map(int, (row.get("memory_replaces") or "").split())),
    )  # fmt: skip


def replay_in_ledger_order(steps: Sequence[Step]) -> list[dict[str, Value]]:
    """Return the known features of every step when it was read; none if it was not read."""
    found = [dict[str, Value]() for _ in steps]
    for event in sorted(_events(steps, _PlacedReplay(), found), key=lambda one: one[0]):
        event[1]()
    return found


_Event = tuple[tuple[int, int], Callable[[], None]]


def _events(steps: Sequence[Step], places: "_PlacedReplay", found: list[dict[str, Value]]) -> Iterable[_Event]:
    """Yield all events with their position: of one number its insertion, then reads, then decisions in order."""
    inserted, numbers = set[int](), {step.attempt.number for step in steps}
    if missing := {number for step in steps for number in step.replaces} - numbers:
        raise KeyError(missing)
    for place, step in enumerate(steps):
        number = step.attempt.number
        if number not in inserted:
            inserted.add(number)
            yield (number, 1), partial(places.insert, step)
        if step.read is not None:
            yield (step.read, 2), partial(_read, step, places.replay, found[place])
        if step.decided is not None:
            yield (step.decided, 3 + place), partial(places.decide, step)


class _PlacedReplay:
    """A replay in which each order has one attempt: the one that was inserted or decided last."""

    def __init__(self) -> None:
        self.replay = Replay()
        self._numbers: dict[str, int] = {}

    def insert(self, step: Step) -> None:
        """Insert an attempt, which replaces the order's earlier one."""
        before = self._numbers.get(step.order_id)
        if before is not None:
            self.replay.remove(before)
        self.replay.add(step.attempt)
        self._numbers[step.order_id] = step.attempt.number

    def decide(self, step: Step) -> None:
        """Decide an attempt, which becomes the order's attempt if it is not."""
        if self._numbers[step.order_id] != step.attempt.number:
            self.insert(step)
        self.replay.decide(step.attempt.number, counts=not step.denied)


def _read(step: Step, replay: Replay, found: dict[str, Value]) -> None:
    values, attempt = replay.values(step.attempt.number), step.attempt
    found |= {
        one.name: values[one.name]
        for one in DEFINITIONS
        if is_known(one, attempt.at, step.since, step.opened, attempt.texts)
    }


def _seconds(moment: dt.datetime) -> int:
    return int((moment.replace(tzinfo=None) - _EPOCH).total_seconds())
