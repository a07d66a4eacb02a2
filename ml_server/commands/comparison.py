"""`vouch models compare`: what differs between two models, and which golden examples they decide differently."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from ml_server.registry.bundle import Bundle, form_name
from ml_server.registry.golden_examples import parse_example
from ml_server.serving.scorer import Scorer

_DATA: Final = ("name", "rows", "abuse_rate", "sha256")
_GRID: Final = np.linspace(-6, 6, 241)
"""Raw scores, in log-odds of legitimacy, at which two calibrations are compared."""


@dataclass(frozen=True)
class Side:
    """One model of a comparison, described by its own metadata."""

    version: str
    training_date: str
    form: str
    features: int
    rounds: int
    classes: Sequence[str]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class ScoredExample:
    """A golden example by both models: its score and its decision under the documented thresholds."""

    example: str
    scores: tuple[float, float]
    decisions: tuple[str, str]


@dataclass(frozen=True)
class ModelComparison:
    """Two models, A and B. Pairs are values of A and of B; a missing value is None."""

    a: Side
    b: Side
    figures: Mapping[str, tuple[float | None, float | None]]
    """Every metric of either held-out part. These are the same rows only if the data and `holdout` are the same."""
    same_held_out_part: bool
    parameters: Mapping[str, tuple[Any, Any]]
    """Parameters that differ."""
    features_only: tuple[Sequence[str], Sequence[str]]
    """Features that only A has, and only B."""
    prior_shift: tuple[float, float]
    calibration_points: tuple[int, int]
    largest_calibration_difference: float
    """Largest difference of the calibrated scores for the same raw score."""
    examples: int
    moves: Mapping[str, int]
    """Number of examples by `decision of A -> decision of B`."""
    largest_score_difference: float
    changed: Sequence[ScoredExample]
    """Examples that get another decision."""


def compare(a: Bundle, b: Bundle) -> ModelComparison:
    """Compare two models. Both score the golden examples of both, which the held-out parts of their data gave."""
    scored = list(_score_examples(a, b))
    own, other = a.metadata.parameters, b.metadata.parameters
    curves = [model.calibration.scores(_GRID, model.prior_shift) for model in (a, b)]
    return ModelComparison(
        a=_side(a),
        b=_side(b),
        figures=_pairs(a.metadata.metrics, b.metadata.metrics),
        same_held_out_part=_held_out_part(a) == _held_out_part(b) is not None,
        parameters={name: pair for name, pair in _pairs(own, other).items() if pair[0] != pair[1]},
        features_only=(_missing(a, b), _missing(b, a)),
        prior_shift=(a.prior_shift, b.prior_shift),
        calibration_points=(len(a.calibration.raw), len(b.calibration.raw)),
        largest_calibration_difference=float(np.abs(curves[0] - curves[1]).max()),
        examples=len(scored),
        moves=dict(Counter(" -> ".join(one.decisions) for one in scored).most_common()),
        largest_score_difference=max((abs(one.scores[0] - one.scores[1]) for one in scored), default=0.0),
        changed=[one for one in scored if one.decisions[0] != one.decisions[1]],
    )


def format_lines(comparison: ModelComparison) -> Iterator[str]:
    """Yield a comparison as lines of text: what is equal in one line, what differs side by side."""
    a, b = comparison.a, comparison.b
    yield _row("", a.version, b.version)
    for name in ("training_date", "form", "features", "rounds"):
        yield _row(name, getattr(a, name), getattr(b, name))
    if a.classes != b.classes:
        yield _row("classes", ", ".join(a.classes), ", ".join(b.classes))
    for name in _DATA:
        yield _row(f"data {name}", a.data.get(name), b.data.get(name))
    for only, version in zip(comparison.features_only, (a.version, b.version), strict=True):
        if only:
            yield f"features only in {version}: {', '.join(only)}"
    yield "" if comparison.parameters else "\nparameters are equal"
    for name, pair in comparison.parameters.items():
        yield _row(name, *pair)
    part = "of the same held-out part" if comparison.same_held_out_part else "of different held-out parts"
    yield f"\nfigures {part}" + f"{'B - A':>{_WIDTH[0] + 2 * _WIDTH[1] - 8 - len(part)}}"
    equal = [name for name, (first, second) in comparison.figures.items() if first == second]
    for name, (first, second) in comparison.figures.items():
        if name in equal:
            continue
        change = "" if first is None or second is None else f"{second - first:+.5f}"
        yield _row(name, first, second) + f"{change:>12}"
    if equal:
        yield f"equal: {', '.join(equal)}"
    yield ""
    yield _row("prior_shift", *comparison.prior_shift)
    yield _row("calibration points", *comparison.calibration_points)
    yield f"calibrated scores for the same raw score differ by up to {comparison.largest_calibration_difference:.4f}"
    rule = f"approve from {APPROVE_FROM:g}, deny up to {DENY_UP_TO:g}"
    yield f"\n{comparison.examples} golden examples, decided by score ({rule})"
    yield f"scores differ by up to {comparison.largest_score_difference:.4f}"
    for move, count in comparison.moves.items():
        yield f"{move:24}{count:>6}"
    for one in comparison.changed:
        yield f"  {one.example:24} {one.scores[0]:.4f} -> {one.scores[1]:.4f}  {' -> '.join(one.decisions)}"
    if not comparison.changed:
        yield "no decision changes"


_WIDTH: Final = (26, 27)


def _row(name: str, first: object, second: object) -> str:
    return f"{name:{_WIDTH[0]}}{_cell(first):>{_WIDTH[1]}}{_cell(second):>{_WIDTH[1]}}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.5g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
    return text if len(text) < _WIDTH[1] else f"{text[: _WIDTH[1] - 4]}..."


def _side(model: Bundle) -> Side:
    metadata = model.metadata
    return Side(
        model.version, metadata.training_date, form_name(model.learned), len(model.features.names), metadata.rounds,
        list(metadata.classes), {name: metadata.dataset.get(name) for name in _DATA},
    )  # fmt: skip


def _held_out_part(model: Bundle) -> tuple[str, Any] | None:
    """Return what determines the held-out part; None if the metadata does not say."""
    digest = model.metadata.dataset.get("sha256")
    return (digest, model.metadata.parameters.get("holdout")) if digest else None


def _pairs(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {name: (first.get(name), second.get(name)) for name in dict.fromkeys((*first, *second))}


def _missing(model: Bundle, other: Bundle) -> list[str]:
    return [name for name in model.features.names if name not in set(other.features.names)]


def _score_examples(a: Bundle, b: Bundle) -> Iterator[ScoredExample]:
    scorers = (Scorer(a), Scorer(b))
    seen = set[bytes]()
    for owner, model in (("A", a), ("B", b)):
        for example in model.golden_examples:
            order, _ = parse_example(example)
            if (content := order.SerializeToString(deterministic=True)) in seen:
                continue
            seen.add(content)
            first, second = (scorer.score(order) for scorer in scorers)
            name = f"{owner} {order.transaction_id}"
            yield ScoredExample(name, (first, second), (_decide(first), _decide(second)))


def _decide(score: float) -> str:
    return "approve" if score >= APPROVE_FROM else "deny" if score <= DENY_UP_TO else "review"
