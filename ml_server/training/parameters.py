"""What training can be told, and what it takes where it is told nothing."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Parameters:
    """What training can be told.

    `target` is the label to learn: hard (is_abuse, abuse_type) or soft (abuse_confidence). `prevalence` is the share of
    abuse among the orders of the shop, where that differs from the training data's. `holdout` is the share of the rows, the
    last in time, that figures are measured on. `rounds` are the most, `time_budget` is in seconds. What is None follows the
    size of the minority class: see `plan_for`.
    """

    seed: int = 42
    target: str = "hard"
    prevalence: float | None = None
    holdout: float = 0.15
    rounds: int = 3000
    time_budget: float | None = None
    learning_rate: float | None = None
    folds: int | None = None
    bags: int | None = None
    bins: int = 64
    shrinkage: float | None = None
    sparse_copies: float = 0.5


@dataclass(frozen=True)
class Plan:
    """How to fit: `patience` is in rounds, `bags` are models that differ by their seed and are averaged."""

    learning_rate: float
    shrinkage: float
    patience: int
    folds: int
    bags: int


def plan_for(minority: int, parameters: Parameters) -> Plan:
    """The plan for a table by the rows of its rarer label.

    The fewer they are, the smaller the steps, and the more folds and bags: what one fit gives is then mostly chance. A leaf
    that holds a few frauds has a small second derivative: shrunk by much more than 5, it would take all rounds to move.
    """
    is_rare, is_plenty = minority < 1_000, minority >= 10_000
    rate = parameters.learning_rate or (0.05 if is_rare else 0.25 if is_plenty else 0.2)
    return Plan(
        learning_rate=rate,
        shrinkage=parameters.shrinkage or (5.0 if is_rare else 20.0),
        patience=round(7.5 / rate),
        folds=min(parameters.folds or (5 if is_rare else 2 if is_plenty else 3), minority),
        bags=parameters.bags or min(max(1, -(-2_000 // minority)), 4),
    )
