"""Rankings of texts by abuse rate, learned in training."""

from collections.abc import Sequence

import numpy as np

from ml_server.features.sources import ColumnSource, Numbers


def ranking_of(columns: ColumnSource, name: str, is_abuse: Numbers, at_least: int) -> dict[str, float]:
    """Order of a column's texts by their abuse rate, smoothed towards the mean; texts with fewer rows are left out."""
    text = columns.text(name)
    known = text.codes >= 0
    rows = np.bincount(text.codes[known], minlength=len(text.values))
    abuse = np.bincount(text.codes[known], weights=is_abuse[known], minlength=len(text.values))
    mean = float(is_abuse.mean())
    rate = (abuse + at_least * mean) / (rows + at_least)
    order: Sequence[int] = sorted(np.flatnonzero(rows >= at_least), key=lambda code: (rate[code], text.values[code]))
    return {text.values[code]: float(place) for place, code in enumerate(order)}
