"""Tables as rows in bins: what boosters are fitted on, a column at a time, so that memory holds one float64 column."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.fields import FIELDS, REQUIRED
from ml_server.features.feature_set import FeatureSet
from ml_server.features.operations import Ranked
from ml_server.features.rankings import out_of_fold
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.training.field_dropout import drop_fields
from ml_server.training.fitting.binning import codes_of, cuts_of
from ml_server.training.fitting.folds import Folds
from ml_server.training.labels import abuse_of

_LEAST_COPIES = 0.02  # a table with next to no field of the contract gets no copies


@dataclass(frozen=True)
class Rows:
    """Rows in bins: `codes` of shape (rows, features) in float32, the cuts of each feature, and the row of the table and the
    fold of each. Copies with fields dropped come after the table's own rows.
    """

    table: pa.Table
    codes: NDArray[np.float32]
    cuts: Sequence[Numbers]
    whole: NDArray[np.intp]
    folds: Folds


def rows_of(
    table: pa.Table, features: FeatureSet, folds: Folds, share: float, bins: int, at_least: int, seed: int
) -> Rows:
    """A table's rows and copies of some with fields dropped; rates of rare texts are taken out of fold."""
    rng = np.random.default_rng(seed)
    share *= sum(name in FIELDS and name not in REQUIRED for name in table.column_names) / (len(FIELDS) - len(REQUIRED))
    whole, counted, is_abuse = np.arange(table.num_rows), table.num_rows, abuse_of(table)
    if share > _LEAST_COPIES:
        chosen = np.flatnonzero(rng.random(counted) < share)
        whole = np.concatenate([whole, chosen])
        table = pa.concat_tables([table, drop_fields(table.take(pa.array(chosen)), rng)])
    columns = TableColumns(table)
    codes = np.empty((len(whole), len(features.names)), dtype=np.float32)
    cuts = []
    for place, feature in enumerate(features.features):
        column = feature.operation.column(columns)
        cuts.append(cuts_of(column, is_abuse[whole], bins))
        if isinstance(feature.operation, Ranked):
            column = out_of_fold(columns, feature.operation.name, is_abuse[whole], folds[whole], at_least, counted)
        codes[:, place] = codes_of(column, cuts[-1])
    return Rows(table, codes, cuts, whole, folds[whole])
