"""A daily budget of reviews: as it is spent, only orders whose mistakes cost most go to people. Pure.

With a share s of the budget B spent in the last 24 hours, all are reviewed up to s = 0.8, and (1 - s) / 0.2 of them from there
on. Where R orders a day would be reviewed, s settles where s = R / B * (1 - s) / 0.2: at 5 R / (B + 5 R), always below 1.
"""

from collections.abc import Sequence
from typing import Final

from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction

NARROWS_FROM: Final = 0.8
_PRICES = Prices()


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
