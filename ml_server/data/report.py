"""Findings of reading a file: each reported once, with its counts over the whole file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from contract.tables import TableError

_MAX_VALUES, _MAX_LISTED, _MAX_LENGTH = 1000, 6, 40


def format_example(value: object) -> str:
    """Format a value as an example in a sentence."""
    text = str(value)
    return repr(text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…")


def count_values(series: "pd.Series[Any]") -> "Counter[str]":
    """Count the most frequent values of a column."""
    return Counter({str(value): int(count) for value, count in series.value_counts().head(_MAX_VALUES).items()})


@dataclass
class Finding:
    """Number of affected values of a column and of all its values; the affected values themselves if they are few."""

    count: int = 0
    total: int = 0
    line: int = -1
    values: "Counter[str]" = field(default_factory=Counter)


@dataclass
class Report:
    """Lines for the user. A file is read in pieces, so counts of the same finding are summed."""

    lines: list[str] = field(default_factory=list)
    _findings: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def add_line(self, line: str) -> None:
        """Add a line, once."""
        if line not in self.lines:
            self.lines.append(line)

    def add_finding(
        self, column: str, count: int, total: int, what: str, values: "Counter[str] | None" = None, advice: str = ""
    ) -> None:
        """Count `count` of `total` values of a column. Call it for a count of 0 too, so that totals are right.

        `values` are the affected values with their counts, of which the most frequent are listed; `advice` says what to
        do.
        """
        finding = self._findings.setdefault((column, what), Finding())
        finding.count, finding.total = finding.count + count, finding.total + total
        if values and len(finding.values) < _MAX_VALUES:
            finding.values.update(dict(values.most_common(_MAX_VALUES)))
        if not finding.count:
            return
        line = f"{column}: {finding.count:,} of {finding.total:,} {what}"
        if finding.values:
            examples = finding.values.most_common(_MAX_LISTED)
            listed = ", ".join(f"{format_example(value)} ({number:,})" for value, number in examples)
            line += f": {listed}" + (", …" if len(finding.values) > _MAX_LISTED else "")
        if advice:
            line += f"; {advice}"
        if finding.line < 0:
            finding.line = len(self.lines)
            self.lines.append(line)
        self.lines[finding.line] = line


@dataclass
class Ids:
    """Ids of a file's rows; each names one order."""

    _seen: set[str] = field(default_factory=set)

    def add(self, column: str, ids: Iterable[str]) -> None:
        """Add a piece's ids. Raises TableError for the first duplicate."""
        for name in ids:
            if name in self._seen:
                raise TableError(
                    f"column {column}: id {format_example(name)} appears twice, the second time in row "
                    f"{len(self._seen) + 1:,}; an id names one order; if an order has several rows, set lines: first, or "
                    "lines: {sum: [order_amount]}"
                )
            self._seen.add(name)
