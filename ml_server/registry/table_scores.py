"""Scores for tables: features in columns, the terms of many rows."""

import numpy as np
import pyarrow as pa

from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.registry.bundle import Bundle


def class_scores(bundle: Bundle, table: pa.Table) -> Numbers:
    """Scores of the classes before softmax, shape (rows, classes)."""
    return bundle.form.scores(bundle.features.matrix(TableColumns(table)))


def legitimacy(bundle: Bundle, table: pa.Table) -> Numbers:
    """Calibrated legitimacy scores, shape (rows,)."""
    return calibrated(bundle, class_scores(bundle, table))


def calibrated(bundle: Bundle, scores: Numbers) -> Numbers:
    """Calibrated legitimacy scores from those of the classes, computed as for one order.

    In columns they would differ in the last bit: numpy's exp and log are not the C library's.
    """
    raw, score, shift = bundle.log_odds.of, bundle.calibration.score, bundle.prior_shift
    return np.array([score(raw(row), shift) for row in scores.tolist()], dtype=np.float64)
