"""Costs of mistakes: missed abuse, rejected customers, and the time of reviewers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """Cost of each mistake: for missed abuse a share of the order's value, else a fixed amount for each case."""

    missed_share: float = 1.0
    denied_customer: float = 20.0
    review: float = 3.0
    review_catches: float = 0.95
    """Share of reviews that reach the right decision."""
