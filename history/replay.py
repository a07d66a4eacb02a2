"""The definitions as a program that goes through attempts one by one: the reference for all faster ways."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from history.definitions import AMOUNT_UNITS, BY_KEY, DAY, LATEST, MAX_DAYS, NEEDED, Definition, Key, Kind, key_text

Value = int | float | bool


@dataclass
class Attempt:
    """An order in history. `number` is its place among all attempts, `at` its time in seconds since 1970."""

    number: int
    at: int
    texts: Mapping[str, str | None]
    amount: int | None = None
    """In ten-thousandths."""
    counts: bool = True
    """Whether it is an order: not denied so far."""


@dataclass
class _KeyAttempts:
    """The attempts of one key, sorted by time and number."""

    places: list[tuple[int, int]] = field(default_factory=list)
    attempts: dict[tuple[int, int], Attempt] = field(default_factory=dict)


class Replay:
    """A complete history in memory, from its first attempt on."""

    def __init__(self) -> None:
        self._past: dict[tuple[Key, str], _KeyAttempts] = {}
        self._attempts: dict[int, Attempt] = {}

    def add(self, attempt: Attempt) -> None:
        """Insert an attempt."""
        self._attempts[attempt.number] = attempt
        place = (attempt.at, attempt.number)
        for key in BY_KEY:
            if name := attempt.texts.get(key.value):
                past = self._past.setdefault((key, name), _KeyAttempts())
                insort(past.places, place)
                past.attempts[place] = attempt

    def remove(self, number: int) -> None:
        """Remove an attempt that another one replaced."""
        attempt = self._attempts.pop(number)
        place = (attempt.at, number)
        for key in BY_KEY:
            if name := attempt.texts.get(key.value):
                past = self._past[key, name]
                past.places.remove(place)
                del past.attempts[place]

    def decide(self, number: int, *, counts: bool) -> None:
        """Set whether an attempt counts as an order. It does until it is denied."""
        if number in self._attempts:
            self._attempts[number].counts = counts

    def values(self, number: int) -> dict[str, Value]:
        """Return the current value of all features of an attempt whose key and other field are present."""
        attempt = self._attempts[number]
        found: dict[str, Value] = {}
        for key, definitions in BY_KEY.items():
            name = attempt.texts.get(key.value)
            if not name:
                continue
            past = self._past[key, name]
            end = bisect_right(past.places, (attempt.at, 1 << 62))
            latest = [past.attempts[place] for place in past.places[max(0, end - LATEST) : end]]
            for definition in definitions:
                if definition.kind is Kind.DAYS_SINCE_FIRST:
                    found[definition.name] = _days_since_first(past, attempt)
                elif not definition.of or attempt.texts.get(definition.of):
                    found[definition.name] = value(definition, attempt, latest)
        return found


def value(definition: Definition, attempt: Attempt, latest: Sequence[Attempt]) -> Value:
    """Return a feature of an attempt, given the latest attempts of its key up to its time, with itself, in order."""
    if definition.window is not None:
        begun = bisect_left(latest, attempt.at - definition.window, key=lambda one: one.at)
        latest = latest[begun:]
    if not definition.itself:
        latest = [one for one in latest if one is not attempt]
    if definition.kind is Kind.ATTEMPTS:
        return len(latest)
    if definition.kind is Kind.DIFFERENT:
        return len({one.texts[definition.of] for one in latest} - {None, ""})
    if definition.kind is Kind.NEW:
        return all(one.texts[definition.of] != attempt.texts[definition.of] for one in latest)
    orders = [one for one in latest if one.counts]
    if definition.kind is Kind.ORDERS:
        return len(orders)
    amounts = [one.amount for one in orders if one.amount is not None]
    return mean_amount(sum(amounts), len(amounts))


def mean_amount(units: int, count: int) -> float:
    """Return the mean of amounts that were summed in ten-thousandths; 0 if there are none."""
    return float(units) / float(count) / AMOUNT_UNITS if count else 0.0


def days_since(first: int, at: int) -> int:
    """Return whole days from one time to a later one, up to the contract's limit."""
    return min((at - first) // DAY, MAX_DAYS)


def _days_since_first(past: _KeyAttempts, attempt: Attempt) -> int:
    for place in past.places:
        if place[0] > attempt.at:
            break
        if past.attempts[place].counts and past.attempts[place] is not attempt:
            return days_since(place[0], attempt.at)
    return 0


def texts_of(row: Mapping[str, object]) -> dict[str, str | None]:
    """Return the texts of a row that history stores."""
    return {name: key_text(name, str(row[name]) if row.get(name) else None) for name in NEEDED}
