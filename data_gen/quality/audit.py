"""Is the data hard enough to tell good models from bad ones? Figures of a sample, and the limits they must keep."""

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

LEAST_ROWS = 5000  # below, the figures say more about chance than about the data
LIMIT = (0.94, 0.98)
ZONE, ZONE_SHARE = (DENY_UP_TO, APPROVE_FROM), (0.04, 0.15)
MOST_COLUMN, MOST_TREE = 0.85, 0.92

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Audit:
    """What the sample shows; the first two are None where the file has no exact probability."""

    rows: int
    limit_auc: float | None
    review_zone_share: float | None
    column_auc: Mapping[str, float]
    tree_auc: float
    tree_columns: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Figures rounded to what the sample supports, columns from the strongest."""
        strongest = sorted(self.column_auc.items(), key=lambda item: -item[1])
        figures = asdict(self) | {"column_auc": {name: round(value, 4) for name, value in strongest}}
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}


def auc(score: Vector, truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the Mann-Whitney statistic with ties at half weight (Hanley and McNeil, 1982)."""
    _, place, sizes = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(sizes) - (sizes - 1) / 2)[place]
    positives = int(truth.sum())
    negatives = len(truth) - positives
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def audit(sample: Sample) -> Audit | None:
    """Figures of a sample; None where it has no label, too few rows, or only one class."""
    if sample.rows < LEAST_ROWS or "is_abuse" not in sample.columns:
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
    # A column may speak for abuse by being low: 1 - AUC is as easy to find.
    by_column = {name: max(value, 1 - value) for name, value in ((n, auc(s, truth)) for n, s in scores.items())}
    tree, used = _tree(scores, truth)
    limit = zone = None
    if "abuse_confidence" in sample.columns and not sample.column("abuse_confidence").null_count:
        confidence = sample.column("abuse_confidence").to_numpy()
        limit = auc(confidence, truth)
        zone = float(((1 - confidence > ZONE[0]) & (1 - confidence < ZONE[1])).mean())
    return Audit(sample.rows, limit, zone, by_column, tree, used)


def column_score(column: pa.ChunkedArray, truth: NDArray[np.bool_]) -> Vector:
    """A column as numbers: as they are, or for text the abuse rate of the same text in the other half of the rows.

    Rates are cross-fitted: taken from the same rows, the rates of rare texts would give the label away.
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
    """AUC of the best tree of depth 2 that greedy search finds, and the columns it asks."""
    from sklearn.tree import DecisionTreeClassifier

    names, matrix = list(scores), np.stack(list(scores.values()), axis=1)
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(matrix, truth)
    used = dict.fromkeys(names[place] for place in tree.tree_.feature if place >= 0)
    return auc(tree.predict_proba(matrix)[:, 1], truth), tuple(used)


def difficulty(audited: Audit, ratios: Mapping[str, float] | None) -> Iterator[Check]:
    """The checks of the audit. Limit and review zone are promised for the default mix only."""
    easiest = max(audited.column_auc, key=lambda name: audited.column_auc[name])
    highest = audited.column_auc[easiest]
    yield Check(
        "no column gives the label away",
        highest <= MOST_COLUMN,
        f"{easiest} has AUC {highest:.3f}, at most {MOST_COLUMN}",
    )
    shown = ", ".join(audited.tree_columns)
    yield Check(
        "no depth-2 tree does",
        audited.tree_auc <= MOST_TREE,
        f"{shown} have AUC {audited.tree_auc:.3f}, at most {MOST_TREE}",
    )
    default = ratios is not None and all(abs(ratios[name] - share) < 1e-9 for name, share in DEFAULT_RATIOS.items())
    if audited.limit_auc is None or audited.review_zone_share is None:
        return
    for name, value, (low, high) in (
        ("limit: AUC of abuse_confidence", audited.limit_auc, LIMIT),
        ("share of abuse_confidence in the review zone", audited.review_zone_share, ZONE_SHARE),
    ):
        passed = low <= value <= high or not default
        wanted = f"wanted {low:g} to {high:g}" + ("" if default else " for the default mix")
        yield Check(name, passed, f"{value:.4f}, {wanted}")
