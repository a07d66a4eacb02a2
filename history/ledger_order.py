"""The past of orders in the order in which a ledger saw them: what late, revised and denied orders knew, and who saw them.

A table of single rows cannot say this. A ledger's export can: for each decision the numbers that say when its order was
remembered, when it was read, and when it was denied or was an order again.
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
"""What an export has beside the fields of orders."""


@dataclass(frozen=True)
class Step:
    """A decision, or an attempt on which nothing was decided. Numbers count attempts."""

    order_id: str
    attempt: Attempt
    opened: int | None
    """When the account was opened, in seconds since 1970."""
    since: int
    """From when on memory knew all orders."""
    read: int | None = None
    """How many attempts there were when its past was read; None where nobody read it anew: a verdict of a person."""
    kept: int | None = None
    """How many there were when it was decided; None where it was not."""
    denied: bool = False
    replaces: tuple[int, ...] = ()
    """Attempts that were replaced, as exports of older versions name them: they have to be there."""


def step_of(row: Mapping[str, Any]) -> Step:
    """A row of an export."""
    at, created, age = _seconds(row["timestamp"]), row.get("account_created_date"), row.get("account_age_days")
    opened = _seconds(created) if created is not None else None if age is None else at - int(age) * DAY
    texts = {name: key_text(name, row.get(name)) for name in NEEDED}
    attempt = Attempt(row["memory_number"], at, texts, amount_units(row.get("order_amount")))
    return Step(
        row["transaction_id"], attempt, opened, row["memory_since"], row["memory_read"], row["memory_kept"],
        bool(row["denied"]), tuple(map(int, (row.get("memory_replaces") or "").split())),
    )  # fmt: skip


def in_ledger_order(steps: Sequence[Step]) -> list[dict[str, Value]]:
    """What every step could know when it was read; nothing where it was not."""
    found = [dict[str, Value]() for _ in steps]
    for happens in sorted(_happenings(steps, _Places(), found), key=lambda one: one[0]):
        happens[1]()
    return found


_Happening = tuple[tuple[int, int], Callable[[], None]]


def _happenings(steps: Sequence[Step], places: "_Places", found: list[dict[str, Value]]) -> Iterable[_Happening]:
    """All that happened, with its place: of one number entering, then reading, then decisions in their order."""
    entered, numbers = set[int](), {step.attempt.number for step in steps}
    if missing := {number for step in steps for number in step.replaces} - numbers:
        raise KeyError(missing)
    for place, step in enumerate(steps):
        number = step.attempt.number
        if number not in entered:
            entered.add(number)
            yield (number, 1), partial(places.enter, step)
        if step.read is not None:
            yield (step.read, 2), partial(_read, step, places.replay, found[place])
        if step.kept is not None:
            yield (step.kept, 3 + place), partial(places.decide, step)


class _Places:
    """A replay in which each order has one place: that of the attempt which was entered or decided last."""

    def __init__(self) -> None:
        self.replay = Replay()
        self._numbers: dict[str, int] = {}

    def enter(self, step: Step) -> None:
        """An attempt is entered; it takes the place of the one before."""
        before = self._numbers.get(step.order_id)
        if before is not None:
            self.replay.remove(before)
        self.replay.add(step.attempt)
        self._numbers[step.order_id] = step.attempt.number

    def decide(self, step: Step) -> None:
        """An attempt is decided; it has the order's place from then on."""
        if self._numbers[step.order_id] != step.attempt.number:
            self.enter(step)
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
