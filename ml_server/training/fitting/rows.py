"""Converts tables to rows in bins for boosters, one column at a time, so that memory holds only one float64 column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml_server.features.feature_set import FeatureSet
from ml_server.features.operations import OTHERS, Ranked
from ml_server.features.rankings import out_of_fold
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.training.fitting.binning import codes_of, cuts_of, rate_cuts
from ml_server.training.fitting.copies import copies_of
from ml_server.training.fitting.folds import Folds
from ml_server.training.labels import abuse_of


@dataclass(frozen=True)
class Rows:
    """Rows in bins: `codes` of shape (rows, features) in float32, the cuts of each feature, and of each row its index
    in the table, its fold, and the factor of its weight. Copies follow the table's own rows; `calibrating` marks the
    rows on which a calibration is fitted.
    """

    table: pa.Table
    codes: NDArray[np.float32]
    cuts: Sequence[Numbers]
    whole: NDArray[np.intp]
    folds: Folds
    factors: Numbers
    calibrating: NDArray[np.bool_]


def rows_of(
    table: pa.Table, features: FeatureSet, folds: Folds, share: float, bins: int, at_least: int, seed: int
) -> Rows:
    """Return a table's rows with copies that lack fields or have unseen texts; rates of rare texts are out of fold."""
    is_abuse, own = abuse_of(table), table.num_rows
    ranked = [place for place, feature in enumerate(features.features) if _has_ranks(feature.operation)]
    copies = copies_of(table, features.extra.names, is_abuse, ranked, share, np.random.default_rng(seed))
    whole = copies.whole
    columns = TableColumns(copies.table)
    codes = np.empty((len(whole), len(features.names)), dtype=np.float32)
    cuts = []
    for place, feature in enumerate(features.features):
        operation = feature.operation
        column = operation.column(columns)
        if isinstance(operation, Ranked) and OTHERS in operation.ranking:
            mean = operation.ranking[OTHERS]
            cuts.append(rate_cuts(column, is_abuse[whole], bins, mean))
            column = out_of_fold(columns, operation.name, is_abuse[whole], folds[whole], at_least, own)
            column[copies.unseen == place] = mean
        else:
            cuts.append(cuts_of(column, is_abuse[whole], bins))
        codes[:, place] = codes_of(column, cuts[-1])
    return Rows(copies.table, codes, cuts, whole, folds[whole], copies.factors, copies.unseen < 0)


def _has_ranks(operation: object) -> bool:
    return isinstance(operation, Ranked) and OTHERS in operation.ranking
