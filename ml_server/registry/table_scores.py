"""Scores of tables: features in columns, many rows at once."""

import numpy as np
import pyarrow as pa

from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.registry.bundle import Bundle


def class_scores(bundle: Bundle, table: pa.Table) -> Numbers:
    """Return the scores of the classes before softmax, shape (rows, classes)."""
    return bundle.form.scores(bundle.features.matrix(TableColumns(table)))


def legitimacy(bundle: Bundle, table: pa.Table) -> Numbers:
    """Return calibrated legitimacy scores, shape (rows,)."""
    return calibrate_scores(bundle, class_scores(bundle, table))


def calibrate_scores(bundle: Bundle, scores: Numbers) -> Numbers:
    """Return calibrated legitimacy scores for class scores, computed row by row as in serving.

    Vectorised they would differ in the last bit, since numpy's exp and log differ from the C library's.
    """
    raw, score, shift = bundle.log_odds.of, bundle.calibration.score, bundle.prior_shift
    return np.array([score(raw(row), shift) for row in scores.tolist()], dtype=np.float64)
