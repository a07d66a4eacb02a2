"""Difficulty audit: statistics of a sample, with limits so that the data separates good models from bad."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.fields import LABELS
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.quality.checks import Check
from data_gen.quality.sample import Sample

MIN_ROWS = 5000  # with fewer rows the statistics are mostly noise
AUC_RANGE = (0.94, 0.98)
ZONE, ZONE_SHARE = (DENY_UP_TO, APPROVE_FROM), (0.04, 0.15)
MAX_COLUMN_AUC, MAX_TREE_AUC = 0.85, 0.92

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Audit:
    """Statistics of a sample; the first two are None if the file has no exact probability."""

    rows: int
    limit_auc: float | None
    review_zone_share: float | None
    column_auc: Mapping[str, float]
    tree_auc: float
    tree_columns: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the statistics rounded to the precision of the sample, columns from the strongest."""
        strongest = sorted(self.column_auc.items(), key=lambda item: -item[1])
        figures = asdict(self) | {"column_auc": {name: round(value, 4) for name, value in strongest}}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def auc(score: Vector, truth: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: Mann-Whitney, ties at half weight (Hanley and McNeil, 1982)."""
    _, place, sizes = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def audit(sample: Sample) -> Audit | None:
    """Return the statistics of a sample; None if it has no label, too few rows, or only one class."""
    if sample.rows < MIN_ROWS or "is_abuse" not in sample.columns:
        return None
    label = sample.column("is_abuse")
    if label.null_count:
        return None
    truth = label.combine_chunks().cast(pa.uint8()).to_numpy(zero_copy_only=False).astype(bool)
    if truth.all() or not truth.any():
        return None
    names = [
        name for name in sample.columns if name not in LABELS and name not in ("timestamp", "account_created_date")
    ]
    scores = {name: column_score(sample.column(name), truth) for name in names}
    scores["hour_of_day"] = (sample.column("timestamp").combine_chunks().cast(pa.int64()).to_numpy() // 3600 % 24) * 1.0
    # A low value may be the sign of abuse: an AUC below 0.5 is as easy to use as 1 - AUC.
    by_column = {name: max(value, 1 - value) for name, value in ((n, auc(s, truth)) for n, s in scores.items())}
    tree, used = _tree(scores, truth)
    limit = zone = None
    if "abuse_confidence" in sample.columns and not sample.column("abuse_confidence").null_count:
        confidence = sample.column("abuse_confidence").to_numpy()
        limit = auc(confidence, truth)
        zone = float(((1 - confidence > ZONE[0]) & (1 - confidence < ZONE[1])).mean())
    return Audit(sample.rows, limit, zone, by_column, tree, used)


def column_score(column: pa.ChunkedArray, truth: NDArray[np.bool_]) -> Vector:
    """Return a column as numbers: unchanged, or for text the abuse rate of the same text in the other half of the rows.

    Rates are cross-fitted: computed from the same rows, the rates of rare texts would reveal the label.
    """
    array = column.combine_chunks()
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        numbers: Vector = array.to_numpy(zero_copy_only=False).astype(np.float64)
        return np.nan_to_num(numbers, nan=-1.0)
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    codes = pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy(zero_copy_only=False).astype(np.int64)
    size, mean = len(coded.dictionary) + 1, float(truth.mean())
    half = np.arange(len(codes)) % 2
    result = np.empty(len(codes))
    for side in (0, 1):
        other = half != side
        rows = np.bincount(codes[other], minlength=size)
        abuse = np.bincount(codes[other], weights=truth[other], minlength=size)
        result[half == side] = ((abuse + 20 * mean) / (rows + 20))[codes[half == side]]
    return result


def _tree(scores: Mapping[str, Vector], truth: NDArray[np.bool_]) -> tuple[float, tuple[str, ...]]:
    """Return the AUC of the best depth-2 tree that greedy search finds, and the columns that it uses."""
    from sklearn.tree import DecisionTreeClassifier

    names, matrix = list(scores), np.stack(list(scores.values()), axis=1)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(matrix, truth)
    used = dict.fromkeys(names[place] for place in tree.tree_.feature if place >= 0)
    return auc(tree.predict_proba(matrix)[:, 1], truth), tuple(used)


def difficulty(audited: Audit, ratios: Mapping[str, float] | None) -> Iterator[Check]:
    """Yield the checks of the audit. AUC range and review zone are guaranteed for the default mix only."""
    easiest = max(audited.column_auc, key=lambda name: audited.column_auc[name])
    highest = audited.column_auc[easiest]
    yield Check(
        "no single column reveals the label",
        highest <= MAX_COLUMN_AUC,
        f"{easiest} has AUC {highest:.3f}, at most {MAX_COLUMN_AUC}",
    )
    shown = ", ".join(audited.tree_columns)
    yield Check(
        "no depth-2 tree reveals the label",
        audited.tree_auc <= MAX_TREE_AUC,
        f"{shown} have AUC {audited.tree_auc:.3f}, at most {MAX_TREE_AUC}",
    )
    default = ratios is not None and all(abs(ratios[name] - share) < 1e-9 for name, share in DEFAULT_RATIOS.items())
    if audited.limit_auc is None or audited.review_zone_share is None:
        return
    for name, value, (low, high) in (
        ("limit: AUC of abuse_confidence", audited.limit_auc, AUC_RANGE),
        ("share of abuse_confidence in the review zone", audited.review_zone_share, ZONE_SHARE),
    ):
        passed = low <= value <= high or not default
        expected = f"expected {low:g} to {high:g}" + ("" if default else " for the default mix")
        yield Check(name, passed, f"{value:.4f}, {expected}")
