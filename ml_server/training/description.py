"""Description of a trained model: metrics, importance, golden examples."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from contract.messages import messages
from contract.prices import Prices
from contract.thresholds import DENY_UP_TO
from ml_server.evaluation.costs import cost_of
from ml_server.evaluation.figures import against_limit, figures
from ml_server.evaluation.reliability import reliability
from ml_server.features.feature_set import FeatureSet
from ml_server.features.message_columns import MessageColumns
from ml_server.features.sources import Numbers
from ml_server.features.table_columns import TableColumns
from ml_server.model.calibration import Calibration
from ml_server.model.form import Form
from ml_server.model.log_odds import LogOdds
from ml_server.registry.golden_examples import COUNT, anonymise, golden_example
from ml_server.training.fitting.rows import Rows
from ml_server.training.labels import abuse_of, optional_weights


def newest_fold_rates(raw: Numbers, is_abuse: Numbers, rows: Rows, calibration: Calibration) -> dict[str, float]:
    """Return observed and predicted share of abuse in the newest fold, by models that were not fitted on it."""
    own = (rows.folds == rows.folds.max()) & (np.arange(len(rows.whole)) < len(is_abuse))
    stated = 1 - calibration.scores(raw[own])
    return {"newest_abuse_rate": float(is_abuse[rows.whole[own]].mean()), "newest_stated_rate": float(stated.mean())}


def importance(form: Form, log_odds: LogOdds, matrix: Numbers, names: Sequence[str]) -> dict[str, float]:
    """Return the mean absolute contribution of each feature to the raw log-odds over some rows."""
    slopes = np.array([log_odds.slopes(form.base, scores) for scores in form.scores(matrix).tolist()])
    sizes = np.abs(form.contributions(matrix, slopes)).mean(axis=0)
    return {name: round(float(size), 4) for name, size in zip(names, sizes, strict=True)}


def golden_examples(table: pa.Table, features: FeatureSet, score: Callable[[Numbers], Numbers]) -> list[dict[str, Any]]:
    """Return golden examples from a table, evenly spread over it; `score` takes rows of features."""
    step = max(1, table.num_rows // COUNT)
    orders = list(messages(table.take(pa.array(range(0, table.num_rows, step)))))
    orders = [anonymise(order, number) for number, order in enumerate(orders, 1)]
    scores = score(features.matrix(MessageColumns([features.fields(order) for order in orders]))).tolist()
    return [golden_example(order, value) for order, value in zip(orders, scores, strict=True)]


def curves(test_part: pa.Table, scores: Numbers) -> dict[str, Any]:
    """Return the reliability curve of the held-out part, and the costs of approval thresholds if there are amounts."""
    is_abuse, weights = abuse_of(test_part), optional_weights(test_part)
    found: dict[str, Any] = {"reliability": [list(map(float, point)) for point in reliability(scores, 1.0 - is_abuse)]}
    if "order_amount" in test_part.column_names and test_part.column("order_amount").null_count < test_part.num_rows:
        amounts = np.nan_to_num(TableColumns(test_part).number("order_amount"))
        priced = [
            cost_of(float(approve), DENY_UP_TO, scores, is_abuse, amounts, Prices(), weights)
            for approve in np.round(np.linspace(DENY_UP_TO, 1, 31), 2)
        ]
        found["costs"] = [[one.approve, one.per_order, one.review_share] for one in priced]
    return found


def measure(test_part: pa.Table, scores: Numbers, sparse_scores: Numbers) -> dict[str, float]:
    """Return metrics of the held-out part; `sparse_scores` are scores from only the documented fields."""
    is_abuse, weights = abuse_of(test_part), optional_weights(test_part)
    metrics = figures(scores, is_abuse, weights)
    if "abuse_confidence" in test_part.column_names and test_part.column("abuse_confidence").null_count == 0:
        metrics |= against_limit(scores, is_abuse, TableColumns(test_part).number("abuse_confidence"), weights)
    sparse = figures(sparse_scores, is_abuse, weights)
    metrics |= {f"sparse_{name}": sparse[name] for name in ("roc_auc", "ece", "brier") if name in sparse}
    return metrics
