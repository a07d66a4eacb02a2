"""The definitions as a program that goes through attempts one by one: what every other way to compute them is held to."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from history.definitions import AMOUNT_UNITS, BY_KEY, DAY, LATEST, MOST_DAYS, NEEDED, Definition, Key, Kind, key_text

Value = int | float | bool


@dataclass
class Attempt:
    """What is remembered of an order. `number` is its place among all attempts, `at` its time in seconds since 1970."""

    number: int
    at: int
    texts: Mapping[str, str | None]
    amount: int | None = None
    """In ten-thousandths."""
    counts: bool = True
    """Whether it is an order: not denied so far."""


@dataclass
class _Past:
    """The attempts of one key by time and number."""

    places: list[tuple[int, int]] = field(default_factory=list)
    attempts: dict[tuple[int, int], Attempt] = field(default_factory=dict)


class Replay:
    """A memory of everything, from its first attempt on."""

    def __init__(self) -> None:
        self._past: dict[tuple[Key, str], _Past] = {}
        self._attempts: dict[int, Attempt] = {}

    def add(self, attempt: Attempt) -> None:
        """Remember an attempt."""
        self._attempts[attempt.number] = attempt
        place = (attempt.at, attempt.number)
        for key in Key:
            if name := attempt.texts.get(key.value):
                past = self._past.setdefault((key, name), _Past())
                insort(past.places, place)
                past.attempts[place] = attempt

    def remove(self, number: int) -> None:
        """Forget an attempt: another one replaced it."""
        attempt = self._attempts.pop(number)
        place = (attempt.at, number)
        for key in Key:
            if name := attempt.texts.get(key.value):
                past = self._past[key, name]
                past.places.remove(place)
                del past.attempts[place]

    def decide(self, number: int, *, counts: bool) -> None:
        """An attempt was denied, or is no longer."""
        if number in self._attempts:
            self._attempts[number].counts = counts

    def values(self, number: int) -> dict[str, Value]:
        """All fields of an attempt whose key and other field are there, seen now."""
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
    """A field of an attempt, given the latest attempts of its key up to its time, itself among them, oldest first."""
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
    """The mean of amounts that were summed in ten-thousandths; 0 without any."""
    return float(units) / float(count) / AMOUNT_UNITS if count else 0.0


def days_since(first: int, at: int) -> int:
    """Whole days from one time to a later one, as many as the contract takes."""
    return min((at - first) // DAY, MOST_DAYS)


def _days_since_first(past: _Past, attempt: Attempt) -> int:
    for place in past.places:
        if place[0] > attempt.at:
            break
        if past.attempts[place].counts and past.attempts[place] is not attempt:
            return days_since(place[0], attempt.at)
    return 0


def texts_of(row: Mapping[str, object]) -> dict[str, str | None]:
    """The texts that memory keeps of a row."""
    return {name: key_text(name, str(row[name]) if row.get(name) else None) for name in NEEDED}
