"""Metrics of scores, and their distance from the best that the data allows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve

from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from ml_server.evaluation.reliability import expected_calibration_error
from ml_server.features.table_columns import TableColumns

Vector = NDArray[np.float64]
FALSE_POSITIVES = (0.001, 0.01, 0.05)
_LOWEST = 1e-6


def figures(legitimacy: Vector, is_abuse: Vector, weights: Vector | None = None) -> dict[str, float]:
    """Return metrics by name. Areas, Brier score, log-loss and recall refer to abuse; all arrays have shape (rows,).

    Rows count by `weights`, or once each.
    """
    result = {"rows": float(len(is_abuse)), "abuse_rate": float(np.average(is_abuse, weights=weights))}
    abuse = 1 - legitimacy
    result["brier"] = float(brier_score_loss(is_abuse, abuse, sample_weight=weights))
    result["ece"] = expected_calibration_error(legitimacy, 1 - is_abuse, weights=weights)
    if 0 < is_abuse.sum() < len(is_abuse):
        result["roc_auc"] = float(roc_auc_score(is_abuse, abuse, sample_weight=weights))
        result["pr_auc"] = float(average_precision_score(is_abuse, abuse, sample_weight=weights))
        result["log_loss"] = float(log_loss(is_abuse, np.clip(abuse, _LOWEST, 1 - _LOWEST), sample_weight=weights))
        false_positive, recall, _ = roc_curve(is_abuse, abuse, sample_weight=weights)
        for rate in FALSE_POSITIVES:
            result[f"recall_at_{rate:g}_fpr"] = float(recall[false_positive <= rate].max())
    return result


def against_limit(
    legitimacy: Vector, is_abuse: Vector, confidence: Vector, weights: Vector | None = None
) -> dict[str, float]:
    """Return the same metrics for the exact posterior, and the regret of the scores."""
    own, limit = figures(legitimacy, is_abuse, weights), figures(1 - confidence, is_abuse, weights)
    result = {f"limit_{name}": value for name, value in limit.items() if name not in ("rows", "abuse_rate")}
    if "roc_auc" in own:
        result["regret_roc_auc"] = limit["roc_auc"] - own["roc_auc"]
        result["regret_pr_auc"] = limit["pr_auc"] - own["pr_auc"]
        result["log_loss_ratio"] = own["log_loss"] / limit["log_loss"]
    return result


def intervals(
    legitimacy: Vector, is_abuse: Vector, weights: Vector | None = None, seed: int = 0, rounds: int = 100
) -> dict[str, tuple[float, float]]:
    """Return 95 % intervals of the metrics: percentiles over resampled rows (Efron, Bootstrap Methods, 1979)."""
    rng, rows = np.random.default_rng(seed), len(is_abuse)
    resampled: dict[str, list[float]] = {}
    for _ in range(rounds):
        chosen = rng.integers(0, rows, rows)
        for name, value in figures(
            legitimacy[chosen], is_abuse[chosen], None if weights is None else weights[chosen]
        ).items():
            resampled.setdefault(name, []).append(value)
    return {
        name: (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))
        for name, values in resampled.items()
        if name != "rows"
    }


def by_group(table: pa.Table, legitimacy: Vector, is_abuse: Vector) -> Mapping[str, dict[str, float]]:
    """Return metrics by abuse type and tier: abuse against all honest rows, honest types by their mean score."""
    result: dict[str, dict[str, float]] = {}
    for column in ("abuse_type", "difficulty_tier"):
        if column not in table.column_names:
            continue
        values = np.asarray(table.column(column).to_pylist(), dtype=object)
        for value in dict.fromkeys(values.tolist()):
            own = values == value
            if value in (None, "n/a"):
                continue
            group: dict[str, float] = {"rows": float(own.sum()), "mean_legitimacy": float(legitimacy[own].mean())}
            if is_abuse[own].all():
                rows = own | (is_abuse == 0)
                group["roc_auc"] = float(roc_auc_score(is_abuse[rows], 1 - legitimacy[rows]))
                group["approved"] = float((legitimacy[own] >= APPROVE_FROM).mean())
            else:
                group["denied"] = float((legitimacy[own] <= DENY_UP_TO).mean())
            result[str(value)] = group
    return result


def exact_confidence(table: pa.Table) -> Vector | None:
    """Return the exact probabilities of abuse, shape (rows,); None if any row lacks one."""
    if "abuse_confidence" not in table.column_names:
        return None
    confidence = TableColumns(table).number("abuse_confidence")
    return None if np.isnan(confidence).any() else confidence
