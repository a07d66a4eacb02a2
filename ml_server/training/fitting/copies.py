"""Copies of a table's rows with less information, since a model must have seen everything that a request may omit.

There are two kinds. In sparse copies fields and extras are missing at random. In copies for unseen texts one column's
text is treated as one that training never saw. Without them no row is in the bin of unknown or of unseen values, and a
model would give such an order the score of an adjacent bin.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.fields import FIELDS, REQUIRED
from ml_server.features.sources import Numbers
from ml_server.training.field_dropout import drop_fields

_MIN_SHARE = 0.02
"""Below this share of sparse copies a table has almost no fields of the contract, and gets a sample of them."""
_SAMPLE = 2_000
"""Rows of a sample: half of each label, if there are enough."""
_SAMPLE_WEIGHT = 1.0
"""Maximum weight of a sample, as a share of the table."""


@dataclass(frozen=True)
class Copies:
    """A table followed by its copies. Of each row: its index in the table (`whole`), the factor of its weight
    (`factors`), and the index of the feature whose text is unseen (`unseen`), -1 for none. All of shape (rows,).
    """

    table: pa.Table
    whole: NDArray[np.intp]
    factors: Numbers
    unseen: NDArray[np.intp]


def copies_of(
    table: pa.Table,
    extras: Collection[str],
    is_abuse: Numbers,
    ranked: Sequence[int],
    share: float,
    rng: np.random.Generator,
) -> Copies:
    """Return the table with sparse copies of a share of its rows, and samples with unseen text by `ranked` feature."""
    present = sum(name in FIELDS and name not in REQUIRED for name in table.column_names)
    share *= present / (len(FIELDS) - len(REQUIRED))
    tables, own = [table], np.arange(table.num_rows)
    places, factors, unseen = [own], [np.ones(len(own))], [np.full(len(own), -1)]

    def add(chosen: NDArray[np.intp], weights: Numbers, feature: int) -> None:
        places.append(chosen)
        factors.append(weights)
        unseen.append(np.full(len(chosen), feature))

    if share > _MIN_SHARE:
        chosen = np.flatnonzero(rng.random(len(own)) < share)
        add(chosen, np.ones(len(chosen)), -1)
        tables.append(drop_fields(table.take(pa.array(chosen)), rng, extras))
    elif share > 0:
        add(*_sample(is_abuse, rng), -1)
        tables.append(drop_fields(table.take(pa.array(places[-1])), rng, extras))
    for feature in ranked:
        add(*_sample(is_abuse, rng), feature)
        tables.append(table.take(pa.array(places[-1])))
    return Copies(pa.concat_tables(tables), *map(np.concatenate, (places, factors, unseen)))


def _sample(is_abuse: Numbers, rng: np.random.Generator) -> tuple[NDArray[np.intp], Numbers]:
    """Return rows of both labels, equally many if possible, with weights that keep the table's proportions."""
    rows = len(is_abuse)
    total = min(rows, _SAMPLE) * _SAMPLE_WEIGHT
    by_label = [np.flatnonzero(is_abuse == label) for label in (0, 1)]
    rarer = min(_SAMPLE // 2, *map(len, by_label))
    chosen, weights = [], []
    for own in by_label:
        count = min(len(own), _SAMPLE - rarer)
        chosen.append(rng.choice(own, count, replace=False))
        weights.append(np.full(count, len(own) / rows * total / max(count, 1)))
    return np.concatenate(chosen), np.concatenate(weights)
