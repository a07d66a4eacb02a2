"""Labels of rows: abuse, honest or unknown, by the values of a column."""

from collections import Counter
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contract.tables import TableError
from ml_server.data.mapping_schema import LabelColumn
from ml_server.data.readings.cells import trim
from ml_server.data.readings.flags import is_value
from ml_server.data.report import format_example

Labels = NDArray[np.float64]
UNKNOWN: Final = np.nan
_WORDS: Final = {"honest": 0.0, "unknown": UNKNOWN}


class LabelReader:
    """Reads the label column of a file piece by piece, and counts its values."""

    def __init__(self, label: LabelColumn) -> None:
        self._label = label
        self._counts: Counter[str] = Counter()
        self._known: dict[str, float] = {}

    def read(self, frame: pd.DataFrame) -> Labels:
        """Return 1 for abuse, 0 for honest, NaN for unknown. The index of the frame has the numbers of the rows.

        Raises TableError for an empty cell or a value of which the mapping does not say what it means.
        """
        label = self._label
        text = trim(frame[label.source])
        empty = text.isna()
        if label.empty is None and empty.any():
            raise TableError(
                f"label column {label.source}: {int(empty.sum()):,} values are empty, first in row "
                f"{int(frame.index[empty.to_numpy()][0]) + 1:,}; leave out orders without a known outcome, with empty: "
                "unknown, or set empty: honest if only abuse is marked"
            )
        self._counts.update({str(value): int(count) for value, count in text.value_counts().items()})
        for value in text.dropna().unique():
            if value not in self._known:
                self._known[value] = self._meaning(value)
        self._check()
        found: Any = text.map(self._known).astype("float64")
        return np.where(empty, _WORDS[label.empty or "unknown"], found.to_numpy())

    def finish(self) -> None:
        """Check the whole file. Raises TableError if the label is never abuse."""
        if self._counts and not self._has_abuse():
            self._refuse_without_abuse()

    def _meaning(self, cell: str) -> float:
        """Return what a cell means; -1 if the mapping does not say it."""
        label = self._label
        parts = [part.strip() for part in cell.split(label.split)] if label.split else [cell]
        if any(is_value(value, part) for part in parts for value in label.abuse):
            return 1.0
        if label.honest is not None and any(is_value(value, part) for part in parts for value in label.honest):
            return 0.0
        return -1.0 if label.others is None and not label.split else _WORDS[label.others or "honest"]

    def _check(self) -> None:
        """Take the only value that is neither listed nor abuse as honest. Raises TableError if there are more."""
        label = self._label
        left = [value for value, meaning in self._known.items() if meaning == -1.0]
        if not left:
            return
        many = {str(value).casefold() for value in left}
        if label.honest is not None or len(many) > 1:
            if not self._has_abuse():
                self._refuse_without_abuse()
            values = len({value.casefold() for value in self._known})
            raise TableError(
                f"label column {label.source} has {values} values instead of two: {self._values()}; list those of abuse and "
                "those of honest orders, or set others: honest"
            )
        self._known |= dict.fromkeys(left, 0.0)
        self._label = label.model_copy(update={"honest": (left[0],)})

    def _has_abuse(self) -> bool:
        return any(meaning == 1 for meaning in self._known.values())

    def _refuse_without_abuse(self) -> None:
        wanted = ", ".join(repr(value) for value in self._label.abuse)
        raise TableError(f"label column {self._label.source} has no value {wanted}; it has {self._values()}")

    def _values(self) -> str:
        return ", ".join(f"{format_example(value)} ({count:,})" for value, count in self._counts.most_common(6))
