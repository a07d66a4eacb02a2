"""What a suggestion says about one column. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ml_server.data.values import Series

ENOUGH: Final = 0.98
"""Share of values that must match a guess."""


@dataclass(frozen=True)
class Guess:
    """Probable role of a column: field, label, extra (`numeric`, `categorical`) or `unused`, with the reason."""

    column: str
    role: str
    name: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()


def list_examples(series: "Series[Any]") -> tuple[str, ...]:
    """Return the first three distinct values of a column as texts."""
    return tuple(str(value) for value in series.dropna().drop_duplicates().head(3))


def as_text(series: "Series[Any]") -> "Series[Any]":
    """Return the known values of a column as texts without surrounding spaces."""
    texts: Series[Any] = series.dropna().astype("string").str.strip()
    return texts
