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
    """Entries of the mapping; `from` is the column if it is not among them."""
    examples: tuple[str, ...] = ()

    @property
    def source(self) -> dict[str, Any]:
        """The entry as the mapping file has it."""
        whole = {"from", "constant", "equal", "rows"} & set(self.options)
        return dict(self.options) if whole else {"from": self.column, **self.options}

    @property
    def columns(self) -> set[str]:
        """All columns that the entry reads."""
        zone = self.options.get("timezone")
        lists = (self.options.get(key, ()) for key in ("from", "fallback", "equal"))
        named = {name for one in lists for name in ([one] if isinstance(one, str) else one)}
        return {self.column, *named, *({zone["from"]} if isinstance(zone, dict) else ())}


def list_examples(series: "Series[Any]") -> tuple[str, ...]:
    """Return the first three distinct values of a column as texts."""
    return tuple(str(value) for value in series.dropna().drop_duplicates().head(3))


def as_text(series: "Series[Any]") -> "Series[Any]":
    """Return the known values of a column as texts without surrounding spaces."""
    texts: Series[Any] = series.dropna().astype("string").str.strip()
    return texts
