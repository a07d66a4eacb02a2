"""A daily budget of reviews: as it is spent, only orders whose mistakes cost most go to people. Pure.

With a share s of the budget B spent in the last 24 hours, all are reviewed up to s = 0.8, and (1 - s) / 0.2 of them from there
on. Where R orders a day would be reviewed, s settles where s = R / B * (1 - s) / 0.2: at 5 R / (B + 5 R), always below 1.
"""

from bisect import insort
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

NARROWS_FROM: Final = 0.8
_COSTS_KEPT: Final = 1000
_PRICES = Prices()


class _Policy(Protocol):
    @property
    def reviews_a_day(self) -> int:
        """Return the budget; 0 for none."""

    def is_open(self, transaction: Transaction, prediction: PredictResponse) -> bool:
        """Return whether the score lies between the thresholds."""


class ReviewBudget:
    """The budget as one process knows it: reviews of the last 24 hours, and what mistakes cost at recent orders."""

    def __init__(self) -> None:
        self.spent = 0
        """Orders that went to people in the last 24 hours: counted in the ledger now and then, and by `record_review`."""
        self._costs, self._in_order = deque[float](), list[float]()

    def min_expected_cost(self, policy: _Policy, transaction: Transaction, prediction: PredictResponse | None) -> float:
        """Return what a mistake on an order must cost at least for it to go to a person; 0 where the policy has no budget."""
        if not policy.reviews_a_day or prediction is None or not policy.is_open(transaction, prediction):
            return 0.0
        self._remember(cheaper_mistake(transaction, prediction.legitimacy_score)[1])
        return min_cost_for(self._in_order, self.spent / policy.reviews_a_day)

    def record_review(self) -> None:
        """Count an order that goes to a person."""
        self.spent += 1

    def _remember(self, cost: float) -> None:
        self._costs.append(cost)
        insort(self._in_order, cost)
        if len(self._costs) > _COSTS_KEPT:
            self._in_order.remove(self._costs.popleft())


def cheaper_mistake(transaction: Transaction, score: float) -> tuple[pb.Decision, float]:
    """What to do with an order that no person sees, and what that costs on average, by the prices of `vouch evaluate`."""
    approve = (1 - score) * transaction.order_amount * _PRICES.missed_share
    deny = score * _PRICES.denied_customer
    return (pb.DECISION_APPROVE, approve) if approve <= deny else (pb.DECISION_DENY, deny)


def share_reviewed(spent: float) -> float:
    """The share of orders between the thresholds that still goes to people, given the share of the budget that is spent."""
    return min(1.0, max(0.0, (1 - spent) / (1 - NARROWS_FROM)))


def min_cost_for(costs: Sequence[float], spent: float) -> float:
    """What a mistake must cost, given what it would have cost at recent orders between the thresholds, in ascending order."""
    reviewed = share_reviewed(spent)
    if reviewed >= 1 or (reviewed > 0 and not costs):
        return 0.0
    if reviewed <= 0:
        return float("inf")
    return costs[min(len(costs) - 1, int(len(costs) * (1 - reviewed)))]
