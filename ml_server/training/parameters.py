"""What training can be told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """What training can be told.

    `target` is the label to learn: hard (is_abuse, abuse_type) or soft (abuse_confidence). `prevalence` is the share of
    abuse among the orders of the shop, where that differs from the training data's.
    """

    seed: int = 42
    target: str = "hard"
    prevalence: float | None = None
    rounds: int = 3000
    patience: int = 40
    learning_rate: float = 0.3
    bins: int = 31
    shrinkage: float = 10.0
    sparse_copies: float = 0.5
