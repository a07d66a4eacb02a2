"""Small charts as SVG text: bars by class, a histogram, shares. No scripts, no fonts, no external resources."""

from collections.abc import Sequence
from html import escape

_FIRST_COLOURS = ("#4c78a8", "#9ecae9", "#f58518", "#e45756", "#b279a2")
_GOLDEN_ANGLE = 137.508  # degrees; keeps any number of hues apart
_TEXT = 'font-family="system-ui,sans-serif" font-size="10" fill="#556"'


def colour_of(number: int) -> str:
    """Return the colour of a series by its index; any number of series get different colours."""
    if number < len(_FIRST_COLOURS):
        return _FIRST_COLOURS[number]
    return f"hsl({(number * _GOLDEN_ANGLE) % 360:.0f} 55% 50%)"


def grouped_lines(series: Sequence[tuple[str, Sequence[float]]], labels: Sequence[str], width: int = 300) -> str:
    """Return one outline a series over the same bins, each scaled to sum to 1, labelled at first and last bin."""
    height, top = 96, max((max(values, default=0) for _, values in series), default=0) or 1
    step = width / max(len(labels), 1)
    paths = []
    for number, (name, values) in enumerate(series):
        points = [
            f"{index * step + dx:.1f},{height - value / top * (height - 6):.1f}"
            for index, value in enumerate(values)
            for dx in (0, step)
        ]
        colour = colour_of(number)
        outline = f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        paths.append(f"<g><title>{escape(name)}</title>{outline}</g>")
    ends = f'<text x="0" y="{height + 12}" {_TEXT}>{escape(labels[0])}</text>' if labels else ""
    if len(labels) > 1:
        ends += f'<text x="{width}" y="{height + 12}" text-anchor="end" {_TEXT}>{escape(labels[-1])}</text>'
    base = f'<line x1="0" y1="{height}" x2="{width}" y2="{height}" stroke="#ccd"/>'
    return f'<svg viewBox="0 0 {width} {height + 16}" width="{width}" role="img">{base}{"".join(paths)}{ends}</svg>'


def grouped_bars(series: Sequence[tuple[str, Sequence[float]]], labels: Sequence[str], width: int = 300) -> str:
    """Return a group of bars for each label, one for each series, as shares of the series."""
    row, left = 5 * len(series) + 6, 104
    top = max((max(values, default=0) for _, values in series), default=0) or 1
    parts = []
    for index, label in enumerate(labels):
        y = index * row
        parts.append(
            f'<text x="{left - 6}" y="{y + row / 2 + 2}" text-anchor="end" {_TEXT}>{escape(label[:18])}</text>'
        )
        for number, (name, values) in enumerate(series):
            length = values[index] / top * (width - left - 4)
            title = f"<title>{escape(name)}: {values[index]:.1%}</title>"
            box = f'x="{left}" y="{y + 3 + number * 5}" width="{length:.1f}" height="4.4" rx="1"'
            parts.append(f'<rect {box} fill="{colour_of(number)}">{title}</rect>')
    return f'<svg viewBox="0 0 {width} {row * len(labels)}" width="{width}" role="img">{"".join(parts)}</svg>'


def shares_bar(shares: Sequence[tuple[str, float]], width: int = 920) -> str:
    """Return one bar divided into shares, labelled if there is room."""
    x, parts = 0.0, []
    for number, (name, share) in enumerate(shares):
        length = share * width
        parts.append(
            f'<rect x="{x:.1f}" width="{length:.1f}" height="34" fill="{colour_of(number)}">'
            f"<title>{escape(name)} {share:.2%}</title></rect>"
        )
        if length > 60:
            label = f'<text x="{x + 8:.1f}" y="21" font-family="system-ui,sans-serif" font-size="11" fill="#fff">'
            parts.append(f"{label}{share:.1%}</text>")
        x += length
    return f'<svg viewBox="0 0 {width} 34" width="100%" role="img">{"".join(parts)}</svg>'


def histogram(values: Sequence[float], zone: tuple[float, float], width: int = 920) -> str:
    """Return a histogram over 0..1 on a square-root scale, with a shaded zone."""
    height, step, top = 190, width / len(values), max(values) or 1
    bars = "".join(
        f'<rect x="{index * step + 1:.1f}" y="{height - (value / top) ** 0.5 * (height - 10):.1f}" width="{step - 2:.1f}" '
        f'height="{(value / top) ** 0.5 * (height - 10):.1f}" fill="#4c78a8"><title>{value:.2%}</title></rect>'
        for index, value in enumerate(values)
    )
    shade = (
        f'<rect x="{zone[0] * width}" y="0" width="{(zone[1] - zone[0]) * width}" height="{height}" fill="#f5851822"/>'
    )
    ticks = "".join(
        f'<text x="{tick * width / 10:.0f}" y="{height + 13}" text-anchor="middle" {_TEXT}>{tick / 10:g}</text>'
        for tick in range(1, 10)
    )
    name = f'<text x="{(zone[0] + zone[1]) / 2 * width:.0f}" y="14" text-anchor="middle" {_TEXT}>review zone</text>'
    return f'<svg viewBox="0 0 {width} {height + 18}" width="100%" role="img">{shade}{bars}{ticks}{name}</svg>'
