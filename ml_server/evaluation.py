"""Figures that say how good scores are, and how far from the best that the data allows."""

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve

from ml_server.calibration import expected_calibration_error

Vector = NDArray[np.float64]


def figures(legitimacy: Vector, is_abuse: Vector) -> dict[str, float]:
    """Figures by name. Areas, Brier score, log-loss and recall are of abuse; both arrays have shape (rows,)."""
    result = {"rows": float(len(is_abuse)), "abuse_rate": float(is_abuse.mean())}
    abuse = 1 - legitimacy
    result["brier"] = float(brier_score_loss(is_abuse, abuse))
    result["ece"] = expected_calibration_error(legitimacy, 1 - is_abuse)
    if 0 < is_abuse.sum() < len(is_abuse):
        result["roc_auc"] = float(roc_auc_score(is_abuse, abuse))
        result["pr_auc"] = float(average_precision_score(is_abuse, abuse))
        result["log_loss"] = float(log_loss(is_abuse, np.clip(abuse, 1e-6, 1 - 1e-6)))
        false_positive, recall, _ = roc_curve(is_abuse, abuse)
        for rate in (0.001, 0.01, 0.05):
            result[f"recall_at_{rate:g}_fpr"] = float(recall[false_positive <= rate].max())
    return result


def against_limit(legitimacy: Vector, is_abuse: Vector, confidence: Vector) -> dict[str, float]:
    """The same figures of the exact posterior, and what the scores lose to it."""
    own, limit = figures(legitimacy, is_abuse), figures(1 - confidence, is_abuse)
    result = {f"limit_{name}": limit[name] for name in ("roc_auc", "pr_auc", "log_loss", "brier") if name in limit}
    if "roc_auc" in own:
        result["regret_roc_auc"] = limit["roc_auc"] - own["roc_auc"]
        result["regret_pr_auc"] = limit["pr_auc"] - own["pr_auc"]
        result["log_loss_ratio"] = own["log_loss"] / limit["log_loss"]
    return result
