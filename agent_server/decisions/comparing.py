"""What another policy would have done with orders whose scores are known. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from agent_server.decisions.policy import Policy
from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


@dataclass(frozen=True)
class Judged:
    """An order, its score if there is one, the moment of the decision in microseconds, and what it was, where that is known."""

    order: Transaction
    prediction: PredictResponse | None
    at: int
    is_abuse: bool | None = None


@dataclass
class Tally:
    """What one policy does: decisions, and the mistakes and costs of those orders of which the truth is known."""

    decisions: Counter[pb.Decision] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    """Orders by the rules that could not be evaluated for them."""
    abuse_let_through: int = 0
    abuse_amount: float = 0.0
    good_stopped: int = 0
    cost: float = 0.0

    def add(self, policy: Policy, judged: Judged, prices: Prices) -> pb.Decision:
        """Decide one more order."""
        verdict = policy.evaluate(judged.order, judged.prediction, judged.at)
        self.decisions[verdict.decision] += 1
        self.rules.update(f"{rule.name} (shadow)" if rule.shadow else rule.name for rule in verdict.matched)
        self.failed.update(verdict.failed)
        abuse, amount = judged.is_abuse, judged.order.order_amount
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
    """Two policies over the same orders: `moves` counts orders by the decision now and the one then."""

    now: Tally = field(default_factory=Tally)
    then: Tally = field(default_factory=Tally)
    moves: Counter[tuple[pb.Decision, pb.Decision]] = field(default_factory=Counter)
    orders: int = 0
    labelled: int = 0
    first: int = 0
    last: int = 0
    scores: Counter[int] = field(default_factory=Counter)
    """Orders by twentieths of the score."""
    moved: Counter[int] = field(default_factory=Counter)
    """Those of them that are decided otherwise."""

    @property
    def days(self) -> float:
        """Days between the first and the last order; at least one."""
        return max((self.last - self.first) / 86_400e6, 1.0)


def compare(now: Policy, then: Policy, orders: Iterable[Judged], prices: Prices) -> Comparison:
    """Both policies over all orders."""
    result = Comparison()
    for judged in orders:
        moment = judged.order.timestamp.ToMicroseconds()
        result.first = moment if not result.orders else min(result.first, moment)
        result.last = max(result.last, moment)
        result.orders += 1
        result.labelled += judged.is_abuse is not None
        move = (result.now.add(now, judged, prices), result.then.add(then, judged, prices))
        result.moves[move] += 1
        if judged.prediction is not None:
            place = min(int(judged.prediction.legitimacy_score * 20), 19)
            result.scores[place] += 1
            result.moved[place] += move[0] != move[1]
    return result
