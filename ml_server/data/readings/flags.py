"""Yes and no as files write them, and comparison of cells with values of a mapping. Pure."""

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from contract.tables import TRUE

FLAGS: Final = {
    **dict.fromkeys([*map(str.lower, TRUE), "yes", "y", "t"], True),
    **dict.fromkeys(["false", "0", "0.0", "no", "n", "f"], False),
}


def read_flags(texts: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of texts as booleans."""
    return texts.astype("string").str.strip().str.lower().map(FLAGS).astype("boolean")


def is_value(wanted: object, cell: str) -> bool:
    """Return whether a cell is a value of the mapping: 1 equals 1.0, true equals True, and yes, which YAML reads as true."""
    if str(wanted).strip().casefold() == cell.casefold():
        return True
    if isinstance(wanted, bool):
        return FLAGS.get(cell.lower()) is wanted and cell.lower() not in ("1", "0", "1.0", "0.0")
    try:
        return float(str(wanted)) == float(cell)
    except ValueError:
        return False


def match_values(cells: "pd.Series[Any]", wanted: Iterable[object]) -> "pd.Series[Any]":
    """Return which cells are one of the values; an empty cell is none."""
    texts, values = cells.astype("string").str.strip(), list(wanted)
    found = {text: any(is_value(value, text) for value in values) for text in texts.dropna().unique()}
    return texts.map(found).fillna(False).astype(bool)
