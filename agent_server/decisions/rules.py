"""Rules of a policy: in order, the first that matches is applied. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_server.decisions.language import Condition, Language, Lists, facts_for
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


@dataclass(frozen=True)
class Rule:
    """What is done with orders that meet a condition. `until` is in microseconds since 1970, and excluded."""

    name: str
    condition: Condition
    effect: pb.RuleEffect
    reason: str
    until: int | None = None
    shadow: bool = False
    thresholds: tuple[float, float] | None = None
    """Approve from and deny up to, where it sets them."""

    def told(self) -> pb.MatchedRule:
        """As an answer names it."""
        return pb.MatchedRule(name=self.name, effect=self.effect, reason=self.reason, shadow=self.shadow)


@dataclass(frozen=True)
class Matched:
    """The rule that is applied, if any, and all that an answer names: that one first, then those in the shadow."""

    applied: Rule | None
    told: tuple[pb.MatchedRule, ...]


NONE = Matched(None, ())


class Rules:
    """Rules with the lists that they look into."""

    def __init__(self, language: Language, rules: Sequence[Rule], lists: Lists) -> None:
        self.rules, self._language = tuple(rules), language
        self._facts = facts_for([rule.condition for rule in rules], lists)

    def match(self, order: Transaction, prediction: PredictResponse | None, at: int) -> Matched:
        """The rules that match an order at a moment, in microseconds since 1970."""
        asked: Any = self._language.activation(self._facts(order, prediction))
        applied, shadows = None, []
        for rule in self.rules:
            if (applied is not None and not rule.shadow) or (rule.until is not None and at >= rule.until):
                continue
            if rule.condition.matches(asked):
                if rule.shadow:
                    shadows.append(rule)
                else:
                    applied = rule
        told = [rule.told() for rule in ([applied] if applied else []) + shadows]
        return Matched(applied, tuple(told))
