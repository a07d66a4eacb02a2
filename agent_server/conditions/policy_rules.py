"""Rules of a policy: in order, the first that matches is applied. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_server.conditions.cost import MOST_ITERATIONS
from agent_server.conditions.facts import Lists, facts_for
from agent_server.conditions.language import Condition, ConditionFailed, Language
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

TOGETHER: Final = 16
"""Rules that are asked at once whether any of them matches: most match nothing, and asking costs more than the answer."""
OFTEN: Final = 8
"""Orders of which the same is known before rules are put together for them: that takes milliseconds."""
_MOST_KNOWN = 256


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

    def to_proto(self) -> pb.MatchedRule:
        """As an answer names it."""
        return pb.MatchedRule(name=self.name, effect=self.effect, reason=self.reason, shadow=self.shadow)


@dataclass(frozen=True)
class Matched:
    """The rule that is applied, if any, and all that an answer names: that one first, then those in the shadow."""

    applied: Rule | None
    told: tuple[pb.MatchedRule, ...]
    failed: tuple[str, ...] = ()
    """Names of the rules that could not be evaluated: they do not match."""


NONE = Matched(None, ())
_Numbered = tuple[int, Rule]
_Failed = Callable[[str, str], None]
"""Called with the name of a rule that could not be evaluated, and the kind of the error."""


@dataclass(frozen=True)
class _Plan:
    """The rules that can hold where certain names are known, by their places: some asked together, the others alone."""

    together: Sequence[tuple[Any, Sequence[_Numbered]]]
    alone: Sequence[_Numbered]

    def hits(self, asked: Any, failed: _Failed) -> list[_Numbered]:
        """The rules that hold, in their order."""
        hits = [numbered for numbered in self.alone if _holds(numbered[1], asked, failed)]
        for program, members in self.together:
            if not _none_holds(program, asked):
                hits += [numbered for numbered in members if _holds(numbered[1], asked, failed)]
        return sorted(hits, key=lambda numbered: numbered[0])


def _none_holds(program: Any, asked: Any) -> bool:
    """Whether none of the rules of a program holds, and all could be evaluated."""
    try:
        return program.eval(asked).value() is False
    except Exception:  # then each is evaluated by itself
        return False


def _holds(rule: Rule, asked: Any, failed: _Failed) -> bool:
    try:
        return rule.condition.answer(asked) is True
    except ConditionFailed as error:
        failed(rule.name, error.kind)
        return False


class Rules:
    """Rules with the lists that they look into."""

    def __init__(
        self, language: Language, rules: Sequence[Rule], lists: Lists, failed: _Failed = lambda rule, kind: None
    ) -> None:
        """`failed` is called with the name of each rule that could not be evaluated for an order, and the error's kind."""
        self.rules, self._language, self._failed = tuple(rules), language, failed
        self._facts = facts_for([rule.condition for rule in rules], lists)
        self._seen: Counter[frozenset[str]] = Counter()
        self._plans: dict[frozenset[str], _Plan] = {}

    def match(self, order: Transaction, prediction: PredictResponse | None, at: int) -> Matched:
        """The rules that match an order at a moment, in microseconds since 1970."""
        facts = self._facts(order, prediction)
        failed: list[str] = []

        def note(rule: str, kind: str) -> None:
            failed.append(rule)
            self._failed(rule, kind)

        hits = self._plan(frozenset(facts)).hits(self._language.activation(facts), note)
        if not hits:
            return Matched(None, (), tuple(failed)) if failed else NONE
        current = [rule for _, rule in hits if rule.until is None or at < rule.until]
        applied = next((rule for rule in current if not rule.shadow), None)
        named = ([applied] if applied else []) + [rule for rule in current if rule.shadow]
        return Matched(applied, tuple(rule.to_proto() for rule in named), tuple(failed))

    def _plan(self, known: frozenset[str]) -> _Plan:
        """How rules are asked where these names are known: put together for what is known often, of bounded number."""
        plan = self._plans.get(known)
        if plan is not None:
            return plan
        able = [(at, rule) for at, rule in enumerate(self.rules) if rule.condition.can_hold(known)]
        self._seen[known] += 1
        if self._seen[known] < OFTEN or len(self._plans) >= _MOST_KNOWN:
            if len(self._seen) > _MOST_KNOWN:
                self._seen.clear()
            return _Plan((), able)
        whole = [numbered for numbered in able if numbered[1].condition.names <= known]
        alone = [numbered for numbered in able if not numbered[1].condition.names <= known]
        together = []
        for group in _groups(whole):
            program = self._language.any_of([rule.condition for _, rule in group])
            if program is None:
                alone += group
            else:
                together.append((program, group))
        self._plans[known] = _Plan(together, alone)
        return self._plans[known]


def _groups(rules: Sequence[_Numbered]) -> Iterator[list[_Numbered]]:
    """Rules that are asked together: few enough, and so that CEL does not give up on all of them at once."""
    group: list[_Numbered] = []
    iterations = 0
    for numbered in rules:
        more = numbered[1].condition.cost.iterations
        if group and (len(group) == TOGETHER or iterations + more >= MOST_ITERATIONS):
            yield group
            group, iterations = [], 0
        group.append(numbered)
        iterations += more
    if group:
        yield group
