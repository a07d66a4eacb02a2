"""Plots as numbers: a template makes SVG of them, and a table with the same content."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from console.views.words import name_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import FeatureGroup

WIDTH, ROW = 560, 26


@dataclass(frozen=True)
class Step:
    """A bar of a waterfall, from left to right in the plot's units."""

    label: str
    contribution: float
    left: float
    width: float
    total: float
    """The log-odds after this step."""


def logit(score: float) -> float:
    """Log-odds of a score, within what a double can say."""
    score = min(max(score, 1e-9), 1 - 1e-9)
    return math.log(score / (1 - score))


def waterfall(evidence: Sequence[pb.Evidence], score: float | None) -> list[Step]:
    """How the groups of evidence lead from where every order begins to the score, in log-odds of legitimacy.

    The first step is what no group says: the order's own score without them. So the steps always add up.
    """
    if score is None or not evidence:
        return []
    end = logit(score)
    parts = [("beginning", end - sum(one.contribution for one in evidence))]
    parts += [(name_of(FeatureGroup.DESCRIPTOR, one.group), one.contribution) for one in evidence]
    ends, at = [], 0.0
    for _, contribution in parts:
        at += contribution
        ends.append(at)
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = WIDTH / ((high - low) or 1.0)
    steps, before = [], 0.0
    for (label, contribution), after in zip(parts, ends, strict=True):
        left = (min(before, after) - low) * scale
        steps.append(Step(label, contribution, round(left, 1), round(max(abs(contribution) * scale, 1.0), 1), after))
        before = after
    return steps


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram or of a row of times: its label, its number, and its height between 0 and 1."""

    label: str
    number: int
    height: float


def bars(labels: Sequence[str], numbers: Sequence[int]) -> list[Bar]:
    """Bars as high as their numbers, the highest 1."""
    most = max([*numbers, 1])
    return [Bar(label, number, round(number / most, 4)) for label, number in zip(labels, numbers, strict=True)]
