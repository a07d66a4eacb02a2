"""`vouch evaluate --report`: a self-contained HTML page about a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from contract.prices import Prices
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from ml_server.evaluation.costs import Cost
from ml_server.evaluation.reliability import reliability
from ml_server.features.sources import Numbers
from ml_server.registry.bundle import Metadata
from runtime.process.files import atomic_write

_SIZE, _MAX_POINTS, _MAX_BAR, _BARS = 300, 200, 420.0, 20
_MODEL, _LIMIT, _PERFECT = "#4c78a8", "#f58518", "#ccd"


@dataclass(frozen=True)
class Measurements:
    """Measurements of a model on a dataset; arrays have shape (rows,)."""

    scores: Numbers
    is_abuse: Numbers
    confidence: Numbers | None
    figures: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    limit: Mapping[str, float]
    groups: Mapping[str, Mapping[str, float]]
    documented: Cost
    cheapest: Cost


@dataclass(frozen=True)
class Curve:
    """One line of a plot, with its points already in pixels."""

    name: str
    colour: str
    path: str


def write_report(path: Path, metadata: Metadata, measured: Measurements, prices: Prices, orders_per_day: int) -> None:
    """Write the page; raise OutputError if it cannot be written."""
    template = jinja2.Environment(loader=jinja2.PackageLoader("ml_server.evaluation", "."), autoescape=True)
    page = template.get_template("report.html.j2").render(
        version=metadata.model_version,
        size=_SIZE,
        rows=len(measured.scores),
        abuse_rate=measured.is_abuse.mean(),
        plots=_plots(measured),
        figures=_figures(measured),
        confusion=_confusion(measured.scores, measured.is_abuse),
        prices=prices,
        costs=[
            _cost(name, cost, orders_per_day)
            for name, cost in (("documented", measured.documented), ("cheapest", measured.cheapest))
        ],
        orders_per_day=orders_per_day,
        groups=_groups(measured.groups),
        importance=_importance(metadata),
    )
    with atomic_write(path) as partial:
        partial.write_text(page + "\n", encoding="utf-8")


def _plots(measured: Measurements) -> list[tuple[str, list[Curve]]]:
    is_abuse = measured.is_abuse
    abuse = [("model", _MODEL, 1 - measured.scores)]
    if measured.confidence is not None:
        abuse.append(("limit", _LIMIT, measured.confidence))
    stated, observed, _ = zip(*reliability(measured.scores, 1 - is_abuse), strict=True)
    return [
        ("ROC: recall by false positives", [_curve(n, c, *roc_curve(is_abuse, values)[:2]) for n, c, values in abuse]),
        (
            "Precision by recall",
            [_curve(n, c, *precision_recall_curve(is_abuse, values)[1::-1]) for n, c, values in abuse],
        ),
        (
            "Calibration: observed by stated legitimacy",
            [_curve("perfect", _PERFECT, [0, 1], [0, 1]), _curve("model", _MODEL, stated, observed)],
        ),
    ]


def _curve(name: str, colour: str, x: Sequence[float] | Numbers, y: Sequence[float] | Numbers) -> Curve:
    chosen = np.unique(np.linspace(0, len(x) - 1, _MAX_POINTS).astype(int))
    return Curve(name, colour, " ".join(f"{x[at] * _SIZE:.1f},{(1 - y[at]) * _SIZE:.1f}" for at in chosen))


def _figures(measured: Measurements) -> list[list[str]]:
    rows = []
    for name, value in measured.figures.items():
        low, high = measured.intervals.get(name, (value, value))
        limit = measured.limit.get(f"limit_{name}")
        rows.append([name, f"{value:.4f}", f"{low:.4f} - {high:.4f}", f"{limit:.4f}" if limit is not None else ""])
    return rows + [[n, f"{v:.4f}", "", ""] for n, v in measured.limit.items() if not n.startswith("limit_")]


def _confusion(scores: Numbers, is_abuse: Numbers) -> list[list[str]]:
    approved, denied = scores >= APPROVE_FROM, scores <= DENY_UP_TO
    return [
        [
            name,
            *(f"{int((chosen & (is_abuse == label)).sum()):,}" for chosen in (approved, denied, ~approved & ~denied)),
        ]
        for name, label in (("legitimate", 0), ("abuse", 1))
    ]


def _cost(name: str, cost: Cost, orders_per_day: int) -> list[str]:
    return [
        name,
        f"{cost.approve:.2f} / {cost.deny:.2f}",
        f"{cost.per_order:.3f}",
        f"{cost.per_order * orders_per_day:,.0f}",
        f"{cost.review_share * orders_per_day:,.0f}",
        f"{cost.missed_share:.1%}",
        f"{cost.denied_share:.1%}",
    ]


def _groups(groups: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for values in groups.values() for name in values))
    rows = [[group, *(f"{values[n]:.4g}" if n in values else "" for n in names)] for group, values in groups.items()]
    return {"head": ["group", *names], "rows": rows}


def _importance(metadata: Metadata) -> list[tuple[str, float, float]]:
    """Return the most important features: name, mean contribution, length of the bar."""
    strongest = sorted(metadata.importance.items(), key=lambda item: -item[1])[:_BARS]
    top = max((value for _, value in strongest), default=0) or 1.0
    return [(name, value, value / top * _MAX_BAR) for name, value in strongest]
