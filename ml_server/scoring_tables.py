"""Scores for tables: features in columns, the terms of many rows."""

import numpy as np
import pyarrow as pa

from ml_server.artifacts import Model
from ml_server.columns import Columns
from ml_server.inputs import Numbers


def class_scores(model: Model, table: pa.Table) -> Numbers:
    """Scores of the classes before softmax, shape (rows, classes)."""
    return model.additive.many(model.features.matrix(Columns(table)))


def legitimacy(model: Model, table: pa.Table) -> Numbers:
    """Calibrated legitimacy scores, shape (rows,)."""
    return calibrated(model, class_scores(model, table))


def calibrated(model: Model, scores: Numbers) -> Numbers:
    """Calibrated legitimacy scores from those of the classes."""
    result: Numbers = np.asarray(model.calibration.scores(model.classes.raws(scores), model.prior_shift))
    return result
