"""Cost of thresholds: missed abuse, rejected customers, and the time of reviewers."""

from dataclasses import dataclass

import numpy as np

from contract.prices import Prices
from ml_server.features.sources import Numbers

_GRID = np.round(np.linspace(0, 1, 51), 2)


@dataclass(frozen=True)
class Cost:
    """Thresholds, their cost for each order, and their effect on people."""

    approve: float
    deny: float
    per_order: float
    review_share: float
    missed_share: float
    denied_share: float


def cost_of(
    approve: float,
    deny: float,
    legitimacy: Numbers,
    is_abuse: Numbers,
    amounts: Numbers,
    prices: Prices,
    weights: Numbers | None = None,
) -> Cost:
    """Return the mean cost of an order under two thresholds; arrays of shape (rows,), weighted by `weights`."""
    weights = np.ones(len(legitimacy)) if weights is None else weights
    abuse = is_abuse.astype(bool)
    approved, denied = legitimacy >= approve, legitimacy <= deny
    reviewed = ~approved & ~denied
    lost = prices.missed_share * amounts * weights
    wrong = 1 - prices.review_catches
    total = lost[abuse & approved].sum() + prices.denied_customer * weights[denied & ~abuse].sum()
    total += prices.review * weights[reviewed].sum()
    total += wrong * (lost[abuse & reviewed].sum() + prices.denied_customer * weights[reviewed & ~abuse].sum())
    return Cost(
        approve=approve,
        deny=deny,
        per_order=float(total / weights.sum()),
        review_share=float(np.average(reviewed, weights=weights)),
        missed_share=float(weights[abuse & approved].sum() / (weights[abuse].sum() or 1)),
        denied_share=float(weights[denied & ~abuse].sum() / (weights[~abuse].sum() or 1)),
    )


def cheapest(
    legitimacy: Numbers, is_abuse: Numbers, amounts: Numbers, prices: Prices, weights: Numbers | None = None
) -> Cost:
    """Return the cheapest thresholds on a grid of 0.02, deny below approve."""
    best: Cost | None = None
    for deny in _GRID[:-1]:
        for approve in _GRID[deny < _GRID]:
            priced = cost_of(float(approve), float(deny), legitimacy, is_abuse, amounts, prices, weights)
            if best is None or priced.per_order < best.per_order:
                best = priced
    assert best is not None
    return best
