"""What was noticed while a file was read: each thing once, with its counts over the whole file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from contract.tables import TableError

_MOST_VALUES, _MOST_NAMED, _LONGEST = 1000, 6, 40


def shown(value: object) -> str:
    """A value as an example in a sentence."""
    text = str(value)
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


@dataclass
class Note:
    """How many of how many values of a column something holds for, and the values themselves where they are few."""

    count: int = 0
    total: int = 0
    line: int = -1
    values: "Counter[str]" = field(default_factory=Counter)


@dataclass
class Report:
    """Lines to tell. A file is read in pieces: counts of the same line are summed."""

    lines: list[str] = field(default_factory=list)
    _notes: dict[tuple[str, str], Note] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """Tell something, once."""
        if line not in self.lines:
            self.lines.append(line)

    def note(
        self, column: str, count: int, total: int, what: str, values: "Counter[str] | None" = None, way_out: str = ""
    ) -> None:
        """Tell something about `count` of `total` values of a column; ask also where it is 0, so that totals are right.

        `values` are the values with their counts, of which the most frequent are named; `way_out` says what to do.
        """
        note = self._notes.setdefault((column, what), Note())
        note.count, note.total = note.count + count, note.total + total
        if values and len(note.values) < _MOST_VALUES:
            note.values.update(dict(values.most_common(_MOST_VALUES)))
        if not note.count:
            return
        line = f"{column}: {note.count:,} of {note.total:,} {what}"
        if note.values:
            named = ", ".join(f"{shown(value)} ({number:,})" for value, number in note.values.most_common(_MOST_NAMED))
            line += f": {named}" + (", …" if len(note.values) > _MOST_NAMED else "")
        if way_out:
            line += f"; {way_out}"
        if note.line < 0:
            note.line = len(self.lines)
            self.lines.append(line)
        self.lines[note.line] = line


@dataclass
class Ids:
    """The ids of a file's rows, which name one order each."""

    _seen: set[str] = field(default_factory=set)

    def add(self, column: str, ids: Iterable[str]) -> None:
        """Take a piece's ids. Raises TableError with the first that was there before."""
        for name in ids:
            if name in self._seen:
                raise TableError(
                    f"column {column}: id {shown(name)} stands there twice, the second time in row {len(self._seen) + 1:,}: "
                    "an id names one order; leave transaction_id unmapped where there is none"
                )
            self._seen.add(name)
