"""`vouch evaluate --report`: one page about a model, complete in itself."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from ml_server.artifacts import Model
from ml_server.calibration import reliability
from ml_server.costs import Cost, Prices
from ml_server.inputs import Numbers
from runtime.files import complete_or_nothing

_SIZE = 300
_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#223;background:#fafafc;margin:0}
main{max-width:980px;margin:0 auto;padding:32px 20px}
h1{font-size:26px;margin:0}h2{font-size:18px;margin:34px 0 8px}p{color:#556;margin:4px 0 10px}
.grid{display:flex;gap:18px;flex-wrap:wrap}
.card{background:#fff;border:1px solid #e4e4ee;border-radius:8px;padding:12px}
table{border-collapse:collapse;font-size:13px;background:#fff;border:1px solid #e4e4ee}
td,th{padding:4px 12px;border-bottom:1px solid #eee;text-align:right}
td:first-child,th:first-child{text-align:left}
"""
Points = Sequence[tuple[float, float]]


def write_report(
    path: Path,
    model: Model,
    found: dict[str, Any],
    scores: Numbers,
    is_abuse: Numbers,
    confidence: Numbers | None,
    prices: Prices,
    orders_per_day: int,
) -> None:
    """Write the page; raise OutputError when it cannot be written."""
    curves = [("model", "#4c78a8", 1 - scores)]
    if confidence is not None:
        curves.append(("limit", "#f58518", confidence))
    roc = [(name, colour, _thin(*roc_curve(is_abuse, values)[:2])) for name, colour, values in curves]
    recall = [(n, c, _thin(*precision_recall_curve(is_abuse, values)[1::-1])) for n, c, values in curves]
    bins = reliability(scores, 1 - is_abuse)
    calibration = [("perfect", "#ccd", [(0.0, 0.0), (1.0, 1.0)]), ("model", "#4c78a8", [(s, o) for s, o, _ in bins])]
    parts = [
        f"<h1>Model {escape(model.version)}</h1><p>{len(scores):,} orders, {is_abuse.mean():.1%} abuse.</p>",
        '<div class="grid">',
        _plot("ROC: recall by false positives", roc),
        _plot("Precision by recall", recall),
        _plot("Calibration: observed by stated legitimacy", calibration),
        "</div><h2>Figures</h2>",
        _figures(found),
        "<h2>Confusion at the documented thresholds</h2>",
        _confusion(scores, is_abuse),
        "<h2>What thresholds cost</h2>",
        f"<p>A missed abuse costs {prices.missed_share:g} of the order's value, a customer wrongly denied "
        f"{prices.denied_customer:g}, a review {prices.review:g}; {prices.review_catches:.0%} of reviews end right.</p>",
        _costs(found["documented"], found["cheapest"], orders_per_day),
        "<h2>By kind</h2>",
        _kinds(found["kinds"]),
        "<h2>What the model looks at</h2><p>Mean size of each feature's contribution, in log-odds.</p>",
        _importance(model),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(model.version)}</title>'
    page = f"{head}<style>{_STYLE}</style><main>{''.join(parts)}</main></html>\n"
    with complete_or_nothing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _thin(x: Numbers, y: Numbers) -> Points:
    """At most 200 points of a curve."""
    chosen = np.unique(np.linspace(0, len(x) - 1, 200).astype(int))
    return [(float(x[place]), float(y[place])) for place in chosen]


def _plot(title: str, curves: Sequence[tuple[str, str, Points]]) -> str:
    lines, legend = [], []
    for place, (name, colour, points) in enumerate(curves):
        path = " ".join(f"{x * _SIZE:.1f},{(1 - y) * _SIZE:.1f}" for x, y in points)
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        text = f'y="{_SIZE - 12 - 16 * place}" text-anchor="end" font-size="12" font-family="system-ui" fill="{colour}"'
        legend.append(f'<text x="{_SIZE - 8}" {text}>{escape(name)}</text>')
    frame = f'<rect width="{_SIZE}" height="{_SIZE}" fill="none" stroke="#ccd"/>'
    picture = (
        f'<svg viewBox="-2 -2 {_SIZE + 4} {_SIZE + 4}" width="{_SIZE}">{frame}{"".join(lines)}{"".join(legend)}</svg>'
    )
    return f'<div class="card"><b>{escape(title)}</b><br>{picture}</div>'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{cells}</table>"


def _figures(found: dict[str, Any]) -> str:
    rows = []
    for name, value in found["figures"].items():
        low, high = found["intervals"].get(name, (value, value))
        limit = found["limit"].get(f"limit_{name}")
        rows.append([name, f"{value:.4f}", f"{low:.4f} - {high:.4f}", f"{limit:.4f}" if limit is not None else ""])
    rows += [[n, f"{v:.4f}", "", ""] for n, v in found["limit"].items() if not n.startswith("limit_")]
    return _table(["figure", "value", "95 % interval", "exact posterior"], rows)


def _confusion(scores: Numbers, is_abuse: Numbers) -> str:
    decided = [("approve", scores >= 0.7), ("deny", scores <= 0.4), ("review", (scores > 0.4) & (scores < 0.7))]
    rows = [
        [name, *(f"{int((chosen & (is_abuse == kind)).sum()):,}" for _, chosen in decided)]
        for name, kind in (("legitimate", 0), ("abuse", 1))
    ]
    return _table(["", *(name for name, _ in decided)], rows)


def _costs(documented: Cost, cheapest: Cost, orders_per_day: int) -> str:
    rows = [
        [
            name,
            f"{cost.approve:.2f} / {cost.deny:.2f}",
            f"{cost.per_order:.3f}",
            f"{cost.per_order * orders_per_day:,.0f}",
            f"{cost.review_share * orders_per_day:,.0f}",
            f"{cost.missed_share:.1%}",
            f"{cost.denied_share:.1%}",
        ]
        for name, cost in (("documented", documented), ("cheapest", cheapest))
    ]
    head = [
        "thresholds",
        "approve / deny",
        "cost an order",
        "cost a day",
        "reviews a day",
        "abuse approved",
        "customers denied",
    ]
    return _table(head, rows) + f"<p>For {orders_per_day:,} orders a day with this share of abuse.</p>"


def _kinds(kinds: dict[str, dict[str, float]]) -> str:
    names = list(dict.fromkeys(name for values in kinds.values() for name in values))
    rows = [[kind, *(f"{values[n]:.4g}" if n in values else "" for n in names)] for kind, values in kinds.items()]
    return _table(["kind", *names], rows)


def _importance(model: Model) -> str:
    gains = model.metadata.get("importance", {})
    strongest = sorted(gains.items(), key=lambda item: -item[1])[:20]
    top = strongest[0][1] if strongest else 1.0
    bars = "".join(
        f'<text x="196" y="{13 + 18 * row}" text-anchor="end" font-size="12" font-family="system-ui">{escape(name)}</text>'
        f'<rect x="204" y="{3 + 18 * row}" width="{value / top * 420:.1f}" height="12" rx="2" fill="#4c78a8"/>'
        f'<text x="{210 + value / top * 420:.1f}" y="{13 + 18 * row}" font-size="11" font-family="system-ui">{value:.3f}</text>'
        for row, (name, value) in enumerate(strongest)
    )
    return f'<svg viewBox="0 0 700 {18 * len(strongest) + 6}" width="700">{bars}</svg>'
