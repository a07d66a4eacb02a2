"""The quadrature of `LogOdds.slopes` written out for a number of classes: a fifth of the time that loops over classes take."""

from collections.abc import Callable, Sequence
from math import exp

Slopes = Callable[[Sequence[float], Sequence[float], int], list[float]]


def slopes_for(honest: int, classes: int, quadrature: Sequence[tuple[float, float]]) -> Slopes:
    """A function of scores at both ends of a way and of its panels, for `classes` classes, the first `honest` honest.

    On each panel the scores of a side are taken against that class's which is highest in its middle: its exponential is 1
    everywhere, so that no sum is 0, and none of the others can overflow on a panel that is short.
    """
    every = range(classes)
    sides = (every[:honest], every[honest:])
    lines = [
        "def slopes(base, scores, panels):",
        f" {_listed('b', every)} = base",
        f" {_listed('d', every)} = scores",
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
    exec("\n".join(lines), names)  # noqa: S102  of two numbers of our own, nothing from outside
    return names.pop("slopes")  # type: ignore[return-value]


def _listed(letter: str, numbers: range) -> str:
    return ", ".join(f"{letter}{number}" for number in numbers)


def _highest(side: range) -> str:
    return ", ".join(f"(b{at} + middle * d{at}, b{at}, d{at})" for at in side)
