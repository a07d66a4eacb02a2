"""Features as a scikit-learn transformer, for notebooks: from a DataFrame of transactions to the model's matrix."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin

from ml_server.features.declarations import RANKED
from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.features.rankings import fit_ranking
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns


class Preprocessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Computes the features. Learned state: `rankings_`, the abuse rate of each RANKED field's texts."""

    def __init__(
        self, at_least: int = 5, extra_numeric: tuple[str, ...] = (), extra_categorical: tuple[str, ...] = ()
    ) -> None:
        self.at_least = at_least
        self.extra_numeric = extra_numeric
        self.extra_categorical = extra_categorical

    def fit(self, X: pd.DataFrame | pa.Table, y: Any) -> Self:  # noqa: N803
        """Learn the rates; `y` is 1 for abuse, shape (rows,)."""
        columns = TableColumns(_table(X))
        target = np.asarray(y, dtype=np.float64)
        self.rankings_: Mapping[str, Mapping[str, float]] = {
            name: fit_ranking(columns, name, target, self.at_least) for name in (*RANKED, *self.extra_categorical)
        }
        return self

    def warnings(self, X: pd.DataFrame | pa.Table) -> Iterator[str]:  # noqa: N803
        """Yield a line for each column with texts too rare to have their own rate."""
        columns = TableColumns(_table(X))
        for name in (*RANKED, *self.extra_categorical):
            text = columns.text(name)
            rows = np.bincount(text.codes[text.codes >= 0], minlength=len(text.values))
            rare = rows < self.at_least
            if rare.any():
                yield (
                    f"{name}: {int(rare.sum()):,} of {len(rows):,} values have fewer than {self.at_least} rows "
                    f"({int(rows[rare].sum()):,} of {columns.rows:,} rows); they count as unseen values"
                )

    def transform(self, X: pd.DataFrame | pa.Table) -> Numbers:  # noqa: N803
        """Return the matrix, shape (rows, features), NaN for unknown."""
        return self.feature_set().matrix(TableColumns(_table(X)))

    def get_feature_names_out(self, input_features: Any = None) -> Numbers:
        """Return the names of the matrix's columns."""
        return np.array(self.feature_set().names)

    def feature_set(self) -> FeatureSet:
        """Return the features with their learned state."""
        return FeatureSet(self.rankings_, Extra(self.extra_numeric, self.extra_categorical))


def _table(data: pd.DataFrame | pa.Table) -> pa.Table:
    return data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)
