"""Compares two policies on orders with known scores. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent_server.conditions.policy_rules import Counts
from agent_server.decisions.policy import Policy
from contract.prices import Prices
from enrichment.money import amount_in_base
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


@dataclass(frozen=True)
class ScoredOrder:
    """An order, its prediction if any, the time of its decision in microseconds since 1970, and its label if known."""

    order: Transaction
    prediction: PredictResponse | None
    at: int
    is_abuse: bool | None = None
    counts: Counts = field(default_factory=dict)
    """The counts of history at the time of the decision, as far as they were recorded."""


@dataclass
class Tally:
    """Results of one policy: its decisions, and the mistakes and costs on labelled orders."""

    decisions: Counter[pb.Decision] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Number of orders per rule that could not be evaluated."""
    abuse_let_through: int = 0
    abuse_amount: float = 0.0
    good_stopped: int = 0
    cost: float = 0.0

    def add(self, policy: Policy, scored: ScoredOrder, prices: Prices) -> pb.Decision:
        """Decide one more order, count it, and return the decision."""
        verdict = policy.evaluate(scored.order, scored.prediction, scored.at, counts=scored.counts)
        self.decisions[verdict.decision] += 1
        self.rules.update(f"{rule.name} (shadow)" if rule.shadow else rule.name for rule in verdict.matched)
        self.failed.update(verdict.failed)
        abuse, amount = scored.is_abuse, amount_in_base(scored.order, policy.base_currency) or 0.0
        loss = prices.missed_share * amount
        if verdict.decision == pb.DECISION_REVIEW:
            wrong = 1 - prices.review_catches
            self.cost += prices.review
            self.cost += 0 if abuse is None else wrong * (loss if abuse else prices.denied_customer)
        elif verdict.decision == pb.DECISION_APPROVE and abuse:
            self.abuse_let_through += 1
            self.abuse_amount += amount
            self.cost += loss
        elif verdict.decision == pb.DECISION_DENY and abuse is False:
            self.good_stopped += 1
            self.cost += prices.denied_customer
        return verdict.decision


@dataclass
class Comparison:
    """Two policies on the same orders. `moves` counts orders by the pair of their decisions under `now` and `then`."""

    now: Tally = field(default_factory=Tally)
    then: Tally = field(default_factory=Tally)
    moves: Counter[tuple[pb.Decision, pb.Decision]] = field(default_factory=Counter)
    orders: int = 0
    labelled: int = 0
    first: int = 0
    last: int = 0
    scores: Counter[int] = field(default_factory=Counter)
    """Number of orders per bin of the score; a bin is 0.05 wide."""
    moved: Counter[int] = field(default_factory=Counter)
    """Number of orders per bin whose decision differs."""

    @property
    def days(self) -> float:
        """Days between the first and the last order; at least 1."""
        return max((self.last - self.first) / 86_400e6, 1.0)


def compare(now: Policy, then: Policy, orders: Iterable[ScoredOrder], prices: Prices) -> Comparison:
    """Apply both policies to all orders."""
    result = Comparison()
    for scored in orders:
        moment = scored.order.timestamp.ToMicroseconds()
        result.first = moment if not result.orders else min(result.first, moment)
        result.last = max(result.last, moment)
        result.orders += 1
        result.labelled += scored.is_abuse is not None
        move = (result.now.add(now, scored, prices), result.then.add(then, scored, prices))
        result.moves[move] += 1
        if scored.prediction is not None:
            bin_index = min(int(scored.prediction.legitimacy_score * 20), 19)
            result.scores[bin_index] += 1
            result.moved[bin_index] += move[0] != move[1]
    return result
