"""What mistakes cost: missed abuse, customers turned away, and the minutes of reviewers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prices:
    """What each mistake costs. A missed abuse loses a share of the order's value; the rest is money for each case."""

    missed_share: float = 1.0
    denied_customer: float = 20.0
    review: float = 3.0
    review_catches: float = 0.95
    """Share of reviews that end with the right decision."""
