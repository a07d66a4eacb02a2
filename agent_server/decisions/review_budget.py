"""A daily review budget: when it is nearly spent, only orders with the most expensive mistakes are reviewed. Pure.

Let s be the share of the budget B spent in the last 24 hours. Up to s = 0.8 all uncertain orders are reviewed, above it
the share (1 - s) / 0.2. If R orders a day are uncertain, s converges to s = R / B * (1 - s) / 0.2 = 5 R / (B + 5 R) <
1.
"""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from contract.prices import Prices
from enrichment.money import amount_in_base
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

NARROWS_FROM: Final = 0.8
_MAX_COSTS: Final = 1000
_PRICES = Prices()


class _Policy(Protocol):
    @property
    def base_currency(self) -> str:
        """Return the currency in which amounts are compared."""

    @property
    def reviews_a_day(self) -> int:
        """Return the budget of reviews per 24 hours; 0 for no budget."""

    def is_uncertain(self, transaction: Transaction, prediction: PredictResponse) -> bool:
        """Return whether the score lies between the thresholds."""


class ReviewBudget:
    """The budget as seen by one process: reviews of the last 24 hours, and costs of mistakes on recent orders."""

    def __init__(self) -> None:
        self.spent = 0
        """Reviews in the last 24 hours: counted in the ledger at intervals, and by `record_review` in between."""
        self._costs, self._in_order = deque[float](), list[float]()

    def min_expected_cost(self, policy: _Policy, transaction: Transaction, prediction: PredictResponse | None) -> float:
        """Return the minimum expected cost of a mistake for an order to be reviewed; 0 if the policy has no budget."""
        if not policy.reviews_a_day or prediction is None or not policy.is_uncertain(transaction, prediction):
            return 0.0
        amount = amount_in_base(transaction, policy.base_currency) or 0.0
        self._record_cost(cheaper_mistake(amount, prediction.legitimacy_score)[1])
        return min_cost_for(self._in_order, self.spent / policy.reviews_a_day)

    def record_review(self) -> None:
        """Count an order that is sent to review."""
        self.spent += 1

    def _record_cost(self, cost: float) -> None:
        self._costs.append(cost)
        insort(self._in_order, cost)
        if len(self._costs) > _MAX_COSTS:
            self._in_order.remove(self._costs.popleft())


def cheaper_mistake(amount: float, score: float) -> tuple[pb.Decision, float]:
    """Return the cheaper decision without a review, and its expected cost, at the prices of `vouch evaluate`.

    `amount` is that of the order in the base currency.
    """
    approve = (1 - score) * amount * _PRICES.missed_share
    deny = score * _PRICES.denied_customer
    return (pb.DECISION_APPROVE, approve) if approve <= deny else (pb.DECISION_DENY, deny)


def share_reviewed(spent: float) -> float:
    """Return the share of uncertain orders that are still reviewed, given the spent share of the budget."""
    return min(1.0, max(0.0, (1 - spent) / (1 - NARROWS_FROM)))


def min_cost_for(costs: Sequence[float], spent: float) -> float:
    """Return the minimum cost of a mistake for a review.

    `costs` are the expected costs of recent uncertain orders, in ascending order; `spent` is the spent share of the
    budget.
    """
    reviewed = share_reviewed(spent)
    if reviewed >= 1 or (reviewed > 0 and not costs):
        return 0.0
    if reviewed <= 0:
        return float("inf")
    return costs[min(len(costs) - 1, int(len(costs) * (1 - reviewed)))]
