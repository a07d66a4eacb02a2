"""How urgent a case is: what a wrong approval would lose, and how long it has waited. Pure.

    priority at time t = ln(1 + expected loss) + (t - opened) / PATIENCE

All cases grow at the same pace, so their order is the same at every moment: that of `opened - PATIENCE * ln(1 + loss)`, which
is kept with a case, and by which the queue is sorted. Ten times the loss is worth 14 hours of waiting.
"""

import math
from typing import Final

from generated.vouch.v1.transaction_pb2 import Transaction

PATIENCE_SECONDS: Final = 6 * 3600.0
"""Waiting that counts as much as 2.7 times the loss."""
DUE_SECONDS: Final = 24 * 3600.0
_MICROSECONDS = 1_000_000


def expected_loss(transaction: Transaction, score: float | None) -> float:
    """What approving would lose on average, in the order's money: P(abuse) times its amount. Without a score P counts as 1."""
    return (1.0 if score is None else 1 - score) * transaction.order_amount


def head_start(loss: float) -> int:
    """The waiting that a loss is worth, in microseconds."""
    return round(PATIENCE_SECONDS * _MICROSECONDS * math.log1p(max(loss, 0.0)))


def urgency(opened_at: int, loss: float) -> int:
    """The smaller, the more urgent; times in microseconds since 1970."""
    return opened_at - head_start(loss)


def due_at(opened_at: int, within_seconds: float = DUE_SECONDS) -> int:
    """When a case should be resolved, in microseconds since 1970."""
    return opened_at + round(within_seconds * _MICROSECONDS)
