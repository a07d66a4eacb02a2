"""Conditions that are slow or fail: refused when the policy is read, or without effect on anything else."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_server.conditions.cost import MAX_ITERATIONS, cost_of
from agent_server.conditions.language import ConditionError, EvaluationError, Language, PolicyCondition
from agent_server.conditions.policy_rules import MIN_ORDERS_TO_GROUP
from agent_server.decisions.comparison import ScoredOrder, Tally
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from agent_server.policies.failures import FAILURES, LOG_SECONDS, MAX_LABELS, OTHERS, RECENT_SECONDS, RuleFailures
from agent_server.policies.yaml_reader import PolicyError
from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from tests.agent.policies.test_policy_files import prediction_of, write_policy

DEFAULTS = Policy(0.7, 0.4)
GOOD = PredictResponse(legitimacy_score=0.9)


def numbers(count: int, start: int = 0) -> str:
    """Return a list of numbers as a condition writes it."""
    return f"[{','.join(map(str, range(start, start + count)))}]"


def rule(name: str, when: str, then: str = "deny", more: str = "") -> str:
    """Return a rule as a file has it."""
    return f"  - name: {name}\n    when: |\n      {when}\n    then: {then}\n    reason: r\n{more}"


def policy_of(folder: Path, *rules: str, failures: RuleFailures | None = None) -> Policy:
    """Return the policy of a file with some rules."""
    path = folder / "policy.yaml"
    path.write_text("rules:\n" + "".join(rules))
    return read_policy(path, DEFAULTS, (failures or RuleFailures()).record)[0]


def nested(*lengths: int) -> str:
    """Return a condition with nested loops that run to their end."""
    text = "order.account_age_days >= 0"
    for depth, length in enumerate(lengths):
        text = f"{numbers(length)}.all(v{depth}, {text})"
    return text


def evaluate(condition: PolicyCondition, **values: Any) -> bool | None:
    """Evaluate a condition for some values."""
    known = {f"order.{name}": value for name, value in values.items()}
    return condition.evaluate(Language().activation(known))


def test_rules_that_are_valid_alone_are_valid_together(tmp_path: Path) -> None:
    """Sixteen rules of 700 numbers each are evaluated for every order, combined or not."""
    rules = [rule(f"r{k}", f"{numbers(700, 1000)}.exists(x, x == order.account_age_days + {k})") for k in range(16)]
    policy = policy_of(tmp_path, *rules)
    for _ in range(3 * MIN_ORDERS_TO_GROUP):
        verdict = policy.evaluate(message(), GOOD)
        assert (verdict.decision, verdict.failed) == (pb.DECISION_APPROVE, ())
        assert policy.evaluate(message(account_age_days=995), GOOD).matched[0].name == "r5"


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (nested(99, 101, 2), "loops up to"),
        (nested(*[10] * 10), "loops up to"),
        (f"order.order_amount > 5.0 && order.user_id == 'never' && {nested(40, 40, 40)}", "loops up to"),
        (f"{numbers(300)}.map(a, {numbers(300)}.map(b, a + b)).all(c, c.all(d, d >= 0))", "loops up to"),
        (f"{numbers(400)}.map(x, [x, x]).all(y, y[0] >= 0)", "steps"),
        (f"{numbers(99)}.all(a, {'+'.join(['(order.user_agent + order.user_agent)'] * 12)} != string(a))", "steps"),
        ("order.user_agent.matches('(a{1,100}){1,10}b')", "steps"),
        ("order.user_agent.matches(order.user_id)", "steps"),
        ("order.user_agent.matches('(')", "cannot be evaluated for any order: invalid regular expression"),
        ("order.user_agent.matches('((a{0,100}){0,100}){0,100}')", ""),
        ("order.timestamp.getHours('Mars/Olympus') < 5", "cannot be evaluated for any order"),
        ("order.timestamp < timestamp('soon')", "cannot be evaluated for any order"),
        ("[1, 2][7 + order.account_age_days] == 1", "cannot be evaluated for any order"),
        ("order.account_age_days / 0 == 1", "cannot be evaluated for any order: divide by zero"),
    ],
)
def test_conditions_that_cannot_be_evaluated_are_refused(tmp_path: Path, when: str, words: str) -> None:
    """A condition that is too slow for some order, or fails for all, is refused on reading, with its rule's name."""
    with pytest.raises(PolicyError) as caught:
        policy_of(tmp_path, rule("fine", "order.new_device"), rule("bomb", when))
    assert "rule bomb: " in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    "when",
    [
        "int(order.user_id) > 5", "double(order.user_id) > 5.0", "timestamp(order.user_id) < order.timestamp",
        "int(order.card_bin) > 0 && timestamp(order.user_id) < order.timestamp",
        "duration(order.user_id) < duration('5s')", "order.timestamp.getHours(order.user_id) < 5",
        "{'EUR': 100.0, 'JPY': 15000.0}[order.currency] < order.order_amount",
        "order.total_orders_lifetime / order.orders_last_24h > 2", "[1, 2][order.total_orders_lifetime] == 1",
        "order.user_agent.matches('(?i)bot|crawl|spider|headless')", f"{numbers(99)}.all(a, {numbers(100)}.all(b, a + b >= 0))",
        f"order.user_agent.contains('{'x' * 200}') && order.new_device", f"order.user_id == '{'y' * 500}' && size('z') == 1",
        f"order.card_bin in [{','.join(repr(str(424242 + n)) for n in range(300))}]", "has(order.user_agent) == true",
    ],
)  # fmt: skip
def test_conditions_that_work_for_some_order_are_accepted(tmp_path: Path, when: str) -> None:
    """Conversions, look-ups and divisions that work for some orders are accepted, as are long lists and patterns."""
    assert policy_of(tmp_path, rule("r", when)).rules


def test_all_rules_together_are_bounded(tmp_path: Path) -> None:
    """For any number of rules the steps of an order are limited; the error names the rule that exceeds the limit."""
    long = nested(40, 30)
    with pytest.raises(
        PolicyError, match=r"with rule r\d+ the rules take up to [\d,]+ steps per order, the limit is 500,000"
    ):
        policy_of(tmp_path, *(rule(f"r{k}", f"{long} && order.orders_last_7d == {k}") for k in range(1000)))


def test_the_limit_of_iterations_is_that_of_the_library() -> None:
    """9,999 iterations are evaluated; at 10,000 CEL gives up, and so such a condition is refused."""
    language = Language()
    most = language.compile(nested(100, 99))
    assert most.cost.iterations == MAX_ITERATIONS - 1 and evaluate(most, account_age_days=1) is True
    with pytest.raises(ConditionError, match="10,000 times"):
        language.compile(nested(99, 100))
    program = language._environment.compile(nested(99, 100))
    with pytest.raises(RuntimeError, match="budget"):
        program.eval(language.activation({"order.account_age_days": 1}))


@settings(max_examples=60)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=3), st.sampled_from(["all", "exists", "map", "filter"]))
def test_the_count_of_turns_is_a_bound(lengths: list[int], outer: str) -> None:
    """The computed number of iterations covers nested loops, and any condition below the limit is evaluated."""
    size = ".size() > 0" if outer in ("map", "filter") else ""
    program = Language()._environment.compile(f"{numbers(7)}.{outer}(z, {nested(*lengths)}){size}")
    turns = 0
    for length in (*lengths, 7):
        turns = length * (1 + turns)
    assert cost_of(program.serialize()).iterations == turns
    for age in (0, 36_500) if turns < MAX_ITERATIONS else ():
        activation = Language().activation({"order.account_age_days": age})
        assert program.eval(activation).value() in (True, False)


def test_a_rule_that_fails_harms_nothing_else(tmp_path: Path) -> None:
    """A failing rule does not match and is logged by name; other rules decide this order and the next."""
    noted: list[tuple[str, str]] = []
    path = tmp_path / "policy.yaml"
    path.write_text(
        "rules:\n"
        + rule("trusted", "order.user_id == 'trusted'", "approve")
        + rule("numbers", "int(order.user_id) > 5")
        + rule("shares", "order.total_orders_lifetime / order.orders_last_24h > 2")
        + rule("far", "order.ip_country == 'KP'")
        + rule("noted", "order.new_device", "review", "    mode: shadow\n")
    )
    policy, _ = read_policy(path, DEFAULTS, lambda name, kind: noted.append((name, kind)))
    odd = message(user_id="u", ip_country="KP", total_orders_lifetime=3, orders_last_24h=0)
    for turn in range(1, 3 * MIN_ORDERS_TO_GROUP):
        verdict = policy.evaluate(odd, GOOD)
        assert (verdict.decision, verdict.failed) == (pb.DECISION_DENY, ("numbers", "shares"))
        assert [each.name for each in verdict.matched] == ["far", "noted"]
        assert len(noted) == 2 * turn
        even = policy.evaluate(message(user_id="7", ip_country="DE", total_orders_lifetime=3, orders_last_24h=1), GOOD)
        assert (even.matched[0].name, even.failed) == ("numbers", ())
    assert {kind for _, kind in noted} == {"INVALID_ARGUMENT"}
    tally = Tally()
    tally.add(policy, ScoredOrder(odd, GOOD, 0), Prices())
    assert tally.failed == {"numbers": 1, "shares": 1}


def test_unknown_fields_are_no_failure(tmp_path: Path) -> None:
    """A rule on a field that an order lacks does not match, and is not reported as a failure."""
    policy = policy_of(tmp_path, rule("r", "order.session_duration_seconds < 5 || int(order.card_bin) > 5"))
    assert policy.evaluate(message(), GOOD).failed == ()


def test_limits_that_the_library_reaches_are_failures_too() -> None:
    """An error that CEL raises instead of returning it is a failure of the condition, not of the call."""
    condition = Language().compile("order.new_device")
    broken = PolicyCondition(**{**vars(condition), "program": _FailingProgram()})
    with pytest.raises(EvaluationError):
        broken.evaluate(None)
    assert not broken.matches(None)


class _FailingProgram:
    """A program that exceeds CEL's limits."""

    def eval(self, activation: Any) -> Any:
        """Raise."""
        raise RuntimeError("INTERNAL: Iteration budget exceeded [INTERNAL]")


def test_failures_are_counted_logged_and_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure counts, a rule is logged once a minute, and after ten minutes without any it is healthy."""
    now = [0.0]
    failures = RuleFailures(lambda: now[0])
    before = FAILURES.labels("fails")._value.get()
    with caplog.at_level(logging.ERROR):
        for _ in range(100):
            failures.record("fails", "INVALID_ARGUMENT")
        now[0] = LOG_SECONDS
        failures.record("fails", "INVALID_ARGUMENT")
    assert FAILURES.labels("fails")._value.get() == before + 101
    now[0] += RECENT_SECONDS - 1
    assert failures.recent() == ["fails"]
    now[0] += 1
    assert failures.recent() == []


def test_labels_of_metrics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeated policy swaps do not grow the labels of metrics without limit."""
    monkeypatch.setattr(
        "agent_server.policies.failures._labels", set[str]()
    )  # labels that other tests do not use or need
    FAILURES.clear()
    failures = RuleFailures()
    for number in range(2 * MAX_LABELS):
        failures.record(f"one-of-many-{number}", "INTERNAL")
    labels = {sample.labels["rule"] for metric in FAILURES.collect() for sample in metric.samples}
    assert OTHERS in labels and len(labels) <= MAX_LABELS + 1


def test_times_far_away_are_only_failures(tmp_path: Path) -> None:
    """Arithmetic beyond CEL's range of years does not match, and nothing is raised."""
    policy = policy_of(tmp_path, rule("later", "order.timestamp + duration('8766000h') > order.timestamp"))
    order = message()
    order.timestamp.FromDatetime(datetime(9999, 1, 1, tzinfo=UTC))
    assert policy.evaluate(order, GOOD).failed in ((), ("later",))


def test_conditions_nested_to_the_limit_are_evaluated_alone(tmp_path: Path) -> None:
    """Conditions that CEL accepts separately but not combined match as before, however often they are evaluated."""
    texts = ["(" * depth + "score < 0.5" + ")" * depth for depth in range(1, 100)]
    language, taken = Language(), list[str]()
    for text in texts:
        try:
            language.compile(text)
        except ConditionError as error:
            refusal = error.message
            break
        taken.append(text)
    assert refusal == "condition is nested too deeply"  # else CEL has no limit any more, and this proves nothing
    rules = "".join(
        f'- {{name: r{at}, when: "{text}", then: deny, reason: r, mode: shadow}}\n' for at, text in enumerate(taken)
    )
    policy = write_policy(tmp_path, f"rules:\n{rules}")
    names = [
        [rule.name for rule in decide(policy, message(), prediction_of(0.3))[0].matched_rules]
        for _ in range(MIN_ORDERS_TO_GROUP + 2)
    ]
    assert names == [[f"r{at}" for at in range(len(taken))]] * len(names)
