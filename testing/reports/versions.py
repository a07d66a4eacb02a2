"""Figures over versions: bench/results/history.json, and the page and the plot of docs/speed.md that show it.

Every benchmark adds its figures to the entry of the commit that it measured.
"""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).resolve().parents[2] / "bench" / "results" / "history.json"
TRACKED: Final[Mapping[str, tuple[str, float]]] = {
    "predict_vs_empty": ("at least", 0.9),
    "mlserver": ("at least", 2.5),
    "predict_rest_vs_fastapi": ("at least", 0.45),
    "review_rest_vs_fastapi": ("at least", 0.3),
    "predict_reasons_forest_vs_tables": ("at least", 0.75),
    "review_forest_vs_tables": ("at least", 0.85),
    "predict_batch_vs_booster": ("at least", 0.9),
    "explain_cost": ("at most", 0.35),
    "review_memory_cost": ("at most", 0.25),
    "four_agents_vs_one": ("at least", 1.8),
}
"""Ratios that are shown over versions, with their targets."""
_WIDTH, _ROW, _LEFT, _RIGHT = 720, 64, 250, 110


def add_figures(entries: Mapping[str, Mapping[str, Any]], machine: Mapping[str, Any], file: Path = FILE) -> None:
    """Add the medians of tracked figures to the entry of their commit in a file."""
    figures = {key: entry["median"] for key, entry in entries.items() if key in TRACKED}
    if not figures:
        return
    known: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    same = next((one for one in known if one["commit"] == machine["commit"]), None)
    if same is None:
        same = {"commit": machine["commit"], "date": "", "model": "", "cores": 0, "figures": {}}
        known.append(same)
    same["date"], same["cores"] = dt.datetime.now(dt.UTC).date().isoformat(), machine["cores"]
    same["model"] = machine.get("model") or same["model"]
    same["figures"] |= figures
    file.write_text(json.dumps(known, indent=2) + "\n")


def read_versions(file: Path = FILE) -> list[dict[str, Any]]:
    """Return the entries, oldest first."""
    entries: list[dict[str, Any]] = json.loads(file.read_text())
    return entries


def to_table(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the entries as a table in Markdown: a row for each commit, a column for each figure."""
    keys = _measured(entries)
    lines = [
        f"| commit | date | model | {' | '.join(f'`{key}`' for key in keys)} |",
        "|---|---|---|" + "---|" * len(keys),
        "| *target* | | | " + " | ".join(f"{TRACKED[key][0]} {TRACKED[key][1]:g}" for key in keys) + " |",
    ]
    for one in entries:
        cells = (f"{one['figures'][key]:.3g}" if key in one["figures"] else "" for key in keys)
        lines.append(f"| {one['commit']} | {one['date']} | {one['model']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def to_svg(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return a plot of the entries: for each figure a line over commits, and its target as a dashed line."""
    keys = _measured(entries)
    height = _ROW * len(keys) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" font-family="sans-serif" '
        'font-size="12" fill="#555">',
        "<title>Figures of the benchmarks over versions</title>",
    ]
    for row, key in enumerate(keys):
        parts += _plot_row(row * _ROW, key, [one["figures"].get(key) for one in entries])
    return "\n".join([*parts, "</svg>\n"])


def _plot_row(top: int, key: str, values: Sequence[float | None]) -> list[str]:
    """Return the elements of one figure. Versions in which it was not measured have no point."""
    bound, target = TRACKED[key]
    low, high = 0.0, max([target, *(value for value in values if value is not None)]) * 1.1
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, len(values) - 1)

    def y(value: float) -> float:
        return top + _ROW - 8 - (value - low) / (high - low) * (_ROW - 18)

    points = [(_LEFT + number * step, y(value)) for number, value in enumerate(values) if value is not None]
    line = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    last = next(value for value in reversed(values) if value is not None)
    return [
        f'<text x="0" y="{top + _ROW / 2:.0f}">{escape(key)}</text>',
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(target):.1f}" y2="{y(target):.1f}" stroke="#999" '
        'stroke-dasharray="4 3"/>',
        f'<polyline points="{line}" fill="none" stroke="#3f51b5" stroke-width="2"/>',
        *(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="3" fill="#3f51b5"/>' for across, down in points),
        f'<text x="{_WIDTH - _RIGHT + 10}" y="{top + _ROW / 2 - 4:.0f}">{last:.3g}</text>',
        f'<text x="{_WIDTH - _RIGHT + 10}" y="{top + _ROW / 2 + 12:.0f}" fill="#999">{bound} {target:g}</text>',
    ]


def _measured(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    return [key for key in TRACKED if any(key in one["figures"] for one in entries)]
