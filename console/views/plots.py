"""Data of plots. A template draws them as SVG, with a table of the same content."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from console.views.formatting import enum_label
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import FeatureGroup

WIDTH, ROW = 560, 26
SMALLEST_SPAN = 1e-9
"""Log-odds that the plot spans at least: a smaller span could overflow the scale, and shows nothing."""


@dataclass(frozen=True)
class WaterfallStep:
    """A bar of a waterfall plot, in the plot's units."""

    label: str
    contribution: float
    left: float
    width: float
    total: float
    """The log-odds after this step."""


def logit(score: float) -> float:
    """Return the log-odds of a score, limited to finite values."""
    score = min(max(score, 1e-9), 1 - 1e-9)
    return math.log(score / (1 - score))


def waterfall(evidence: Sequence[pb.Evidence], score: float | None) -> list[WaterfallStep]:
    """Return the contributions of the groups of evidence to the score, in log-odds of legitimacy.

    The first step is the part of the score that is in no group, so that all steps add up to the score.
    """
    if score is None or not evidence:
        return []
    end = logit(score)
    parts = [("baseline", end - sum(one.contribution for one in evidence))]
    parts += [(enum_label(FeatureGroup.DESCRIPTOR, one.group), one.contribution) for one in evidence]
    ends, at = [], 0.0
    for _, contribution in parts:
        at += contribution
        ends.append(at)
    low, high = min(0.0, *ends), max(0.0, *ends)
    scale = WIDTH / max(high - low, SMALLEST_SPAN)
    steps, before = [], 0.0
    for (label, contribution), after in zip(parts, ends, strict=True):
        left = (min(before, after) - low) * scale
        steps.append(
            WaterfallStep(label, contribution, round(left, 1), round(max(abs(contribution) * scale, 1.0), 1), after)
        )
        before = after
    return steps


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram or time series: label, number, and height between 0 and 1."""

    label: str
    number: int
    height: float


def bars(labels: Sequence[str], numbers: Sequence[int]) -> list[Bar]:
    """Return bars with heights in proportion to their numbers; the highest is 1."""
    highest = max([*numbers, 1])
    return [Bar(label, number, round(number / highest, 4)) for label, number in zip(labels, numbers, strict=True)]
