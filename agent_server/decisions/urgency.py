"""Urgency of a case: the expected loss of a wrong approval, and the time it has waited. Pure.

    priority at time t = ln(1 + expected loss) + (t - opened) / SCALE

All priorities rise at the same rate, so waiting does not change the order of two cases. The queue is sorted by
`opened - SCALE * ln(1 + loss)`, which is stored with each case. Ten times the loss is worth 14 hours of waiting.
"""

import math
from typing import Final

URGENCY_SCALE_SECONDS: Final = 6 * 3600.0
"""SCALE: the waiting time that counts as much as e = 2.7 times the loss."""
DUE_SECONDS: Final = 24 * 3600.0
_MICROSECONDS = 1_000_000


def expected_loss(amount: float | None, score: float | None) -> float:
    """Return the expected loss of approving, in the base currency: P(abuse) times amount; without a score P is 1.

    It is 0 if the amount in the base currency is unknown.
    """
    return (1.0 if score is None else 1 - score) * (amount or 0.0)


def head_start(loss: float) -> int:
    """Return the waiting time that a loss is worth, in microseconds."""
    return round(URGENCY_SCALE_SECONDS * _MICROSECONDS * math.log1p(max(loss, 0.0)))


def urgency(opened_at: int, loss: float) -> int:
    """Return the sort key of the queue: smaller is more urgent. Times are in microseconds since 1970."""
    return opened_at - head_start(loss)


def due_at(opened_at: int, within_seconds: float = DUE_SECONDS) -> int:
    """Return the time by which a case should be resolved, in microseconds since 1970."""
    return opened_at + round(within_seconds * _MICROSECONDS)
