"""Rules of a policy: the first rule that matches is applied. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from agent_server.conditions.cost import MAX_ITERATIONS
from agent_server.conditions.facts import Lists, fact_reader
from agent_server.conditions.language import EvaluationError, Language, PolicyCondition
from enrichment.money import BASE_CURRENCY
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import Definition

MAX_GROUP: Final = 16
"""Maximum number of rules in a program that tests whether any matches. Most do not, and calling CEL is expensive."""
MIN_ORDERS_TO_GROUP: Final = 8
"""Number of orders with the same known names before rules are grouped for them: compiling takes milliseconds."""
_MAX_PLANS = 256


@dataclass(frozen=True)
class Rule:
    """What to do with orders that match a condition. `until` is exclusive, in microseconds since 1970."""

    name: str
    condition: PolicyCondition
    effect: pb.RuleEffect
    reason: str
    until: int | None = None
    shadow: bool = False
    thresholds: tuple[float, float] | None = None
    """The thresholds that it sets, if it does: approve from, deny up to."""

    def to_proto(self) -> pb.MatchedRule:
        """Return the rule as answers name it."""
        return pb.MatchedRule(name=self.name, effect=self.effect, reason=self.reason, shadow=self.shadow)


@dataclass(frozen=True)
class RuleMatches:
    """The applied rule, if any, and all rules for the answer: the applied rule first, then shadow rules."""

    applied: Rule | None
    matched: tuple[pb.MatchedRule, ...]
    failed: tuple[str, ...] = ()
    """Names of rules that could not be evaluated; these do not match."""


NO_MATCHES = RuleMatches(None, ())
Counts = Mapping[str, int]
"""The known counts of history by name."""
NO_COUNTS: Final[Counts] = MappingProxyType({})
_NumberedRule = tuple[int, Rule]
OnFailure = Callable[[str, str], None]
"""Called with the name of a rule that could not be evaluated and the kind of the error."""


@dataclass(frozen=True)
class _Plan:
    """The rules, with their indices, that can match if certain names are known: in groups, or evaluated one by one."""

    grouped: Sequence[tuple[Any, Sequence[_NumberedRule]]]
    single: Sequence[_NumberedRule]

    def find_matches(self, activation: Any, on_failure: OnFailure) -> list[_NumberedRule]:
        """Return the rules that match, in their order."""
        matching = [numbered for numbered in self.single if _rule_matches(numbered[1], activation, on_failure)]
        for program, members in self.grouped:
            if not _none_matches(program, activation):
                matching += [numbered for numbered in members if _rule_matches(numbered[1], activation, on_failure)]
        return sorted(matching, key=lambda numbered: numbered[0])


def _none_matches(program: Any, activation: Any) -> bool:
    """Return whether no rule of a group matches and all could be evaluated."""
    try:
        return program.eval(activation).value() is False
    except Exception:  # each rule is then evaluated separately
        return False


def _rule_matches(rule: Rule, activation: Any, on_failure: OnFailure) -> bool:
    try:
        return rule.condition.evaluate(activation) is True
    except EvaluationError as error:
        on_failure(rule.name, error.kind)
        return False


class Rules:
    """The rules of a policy, with their lists."""

    def __init__(
        self, language: Language, rules: Sequence[Rule], lists: Lists, on_failure: OnFailure = lambda rule, kind: None,
        base_currency: str = BASE_CURRENCY,
    ) -> None:  # fmt: skip
        """`on_failure` is called for each rule that could not be evaluated for an order."""
        self.rules, self._language, self._on_failure = tuple(rules), language, on_failure
        self._facts = fact_reader([rule.condition for rule in rules], lists, base_currency)
        counts = frozenset().union(*(rule.condition.counts for rule in rules))
        self.counts: tuple[Definition, ...] = tuple(sorted(counts, key=lambda count: count.name))
        """The counts of history that the rules read."""
        self._name_counts: Counter[frozenset[str]] = Counter()
        self._plans: dict[frozenset[str], _Plan] = {}

    def match(
        self, order: Transaction, prediction: PredictResponse | None, at: int, counts: Counts = NO_COUNTS
    ) -> RuleMatches:
        """Return the rules that match an order at time `at`, in microseconds since 1970. `counts` are those known."""
        facts = self._facts(order, prediction)
        if counts:
            facts |= counts
        failed: list[str] = []

        def record_failure(rule: str, kind: str) -> None:
            failed.append(rule)
            self._on_failure(rule, kind)

        matching = self._plan(frozenset(facts)).find_matches(self._language.activation(facts), record_failure)
        if not matching:
            return RuleMatches(None, (), tuple(failed)) if failed else NO_MATCHES
        current = [rule for _, rule in matching if rule.until is None or at < rule.until]
        applied = next((rule for rule in current if not rule.shadow), None)
        named = ([applied] if applied else []) + [rule for rule in current if rule.shadow]
        return RuleMatches(applied, tuple(rule.to_proto() for rule in named), tuple(failed))

    def _plan(self, known: frozenset[str]) -> _Plan:
        """Return the plan for a set of known names. Frequent sets get grouped rules, up to _MAX_PLANS of them."""
        plan = self._plans.get(known)
        if plan is not None:
            return plan
        candidates = [(at, rule) for at, rule in enumerate(self.rules) if rule.condition.can_match(known)]
        self._name_counts[known] += 1
        if self._name_counts[known] < MIN_ORDERS_TO_GROUP or len(self._plans) >= _MAX_PLANS:
            if len(self._name_counts) > _MAX_PLANS:
                self._name_counts.clear()
            return _Plan((), candidates)
        groupable = [numbered for numbered in candidates if numbered[1].condition.names <= known]
        single = [numbered for numbered in candidates if not numbered[1].condition.names <= known]
        grouped = []
        for group in _group_rules(groupable):
            program = self._language.compile_any([rule.condition for _, rule in group])
            if program is None:
                single += group
            else:
                grouped.append((program, group))
        self._plans[known] = _Plan(grouped, single)
        return self._plans[known]


def _group_rules(rules: Sequence[_NumberedRule]) -> Iterator[list[_NumberedRule]]:
    """Yield groups of rules that stay below MAX_GROUP and, together, below CEL's limit of iterations."""
    group: list[_NumberedRule] = []
    iterations = 0
    for numbered in rules:
        more = numbered[1].condition.cost.iterations
        if group and (len(group) == MAX_GROUP or iterations + more >= MAX_ITERATIONS):
            yield group
            group, iterations = [], 0
        group.append(numbered)
        iterations += more
    if group:
        yield group
