"""Policy files with mistakes: each is refused with its place, and the policy before it stays in force."""

from pathlib import Path

import pytest

from agent_server.decisions.decide import decide
from agent_server.policies.current import WatchedPolicy
from agent_server.policies.document import read_policy
from agent_server.policies.yaml_reader import PolicyError
from generated.vouch.v1 import agent_service_pb2 as pb
from testing.inputs.orders import message
from tests.agent.policies.test_policy_files import DEFAULTS, FULL, prediction_of, write_policy

RULE = "rules:\n- name: a\n  when: {}\n  then: deny\n  reason: r\n"
BROKEN: list[tuple[str, int, int, str]] = [
    ("treshholds: {approve: 0.7}\n", 1, 1, "thresholds"),
    ("thresholds: {aprove: 0.7}\n", 1, 14, "approve"),
    ("thresholds: {approve: 1.7}\n", 1, 23, "0 to 1"),
    ("thresholds: {approve: high}\n", 1, 23, "number"),
    ("thresholds: {approve: .nan}\n", 1, 23, "number"),
    ("thresholds: {approve: 0.3, deny: 0.4}\n", 1, 13, "below"),
    ("thresholds: 0.7\n", 1, 13, "expected a mapping"),
    ("thresholds: {}\n", 1, 13, "approve, deny"),
    ("minimum_evidence: 3.5\n", 1, 19, "whole number"),
    ("minimum_evidence: 1000\n", 1, 19, "whole number"),
    ("agent_decides: maybe\n", 1, 16, "true or false"),
    ("unscored: approve\n", 1, 11, "review, deny, error"),
    ("unscored: deny\nunscored: deny\n", 2, 1, "duplicate key unscored"),
    ("rules: {}\n", 1, 8, "list"),
    (RULE.format("history.count('login', 'user_id', '1h') > 3"), 3, 9, "use one of payment_attempt"),
    (RULE.format("score < 0.5 && history.count('card', 'ip_address', '1h') > 3"), 3, 24, "card is not counted by"),
    (RULE.format("history.count('card', 'user_id', '31d') > 3"), 3, 9, "use 1m to 30d"),
    (RULE.format("history.count('card', 'user_id', 'hour') > 3"), 3, 9, "write 30m, 24h or 7d"),
    (RULE.format("history.count('card', order.user_id, '1h') > 3"), 3, 9, "write history.count("),
    (RULE.format("history.count > 3"), 3, 9, "write history.count("),
    (RULE.format("count_card_by_user_id_3600_ > 3"), 3, 9, "unknown name"),
    (RULE.format("history.count('card', 'user_id', '1h') > 1000"), 3, 9, "never match"),
    (RULE.format("history.count('card', 'user_id', '1h') > 3 && order.x > 3"), 3, 55, "unknown name order.x"),
    ("due_within: 90\n", 1, 13, "30m, 8h or 2d"),
    ("due_within: 0h\n", 1, 13, "30m, 8h or 2d"),
    ("due_within: 400d\n", 1, 13, "a year"),
    ("two_reviewers: 1000\n", 1, 16, "expected a mapping"),
    ("two_reviewers: {above: 1000}\n", 1, 17, "from"),
    ("two_reviewers: {from: -1}\n", 1, 23, "amount"),
    ("review_budget: {per_week: 5}\n", 1, 17, "per_day"),
    ("review_budget: {per_day: 1.5}\n", 1, 26, "whole number"),
    ("review_budget: {}\n", 1, 16, "per_day is missing"),
    ("rules:\n- when: 'true'\n  then: deny\n  reason: r\n", 2, 3, "rule has no name"),
    ("rules:\n- name: a\n  then: deny\n  reason: r\n", 2, 3, "rule has no when"),
    ("rules:\n- name: a\n  when: score < 0.1\n  reason: r\n", 2, 3, "rule has no then"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: deny\n", 2, 3, "rule has no reason"),
    ("rules:\n- name: A b\n  when: score < 0.1\n  then: deny\n  reason: r\n", 2, 9, "A b"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: block\n  reason: r\n", 4, 9, "approve, deny, review"),
    ("rules:\n- name: a\n  when: score < 0.1\n  than: deny\n  reason: r\n", 4, 3, "then"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: {approve: 0.2}\n  reason: r\n", 4, 9, "below"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: deny\n  reason: ''\n", 5, 11, "string"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: deny\n  reason: r\n  until: soon\n", 6, 10, "2026-12-31"),
    ("rules:\n- name: a\n  when: score < 0.1\n  then: deny\n  reason: r\n  mode: dark\n", 6, 9, "shadow"),
    (RULE.format("order.order_amont > 100"), 3, 9, "order.order_amount"),
    (RULE.format("score < 0.5 && order.devise_id == 'x'"), 3, 24, "order.device_id"),
    (RULE.format("scor < 0.5"), 3, 9, "scor"),
    (RULE.format("abuse.identity_theft > 0.5"), 3, 9, "abuse.identity_theft"),
    (RULE.format("order.order_amount > 'much'"), 3, 28, "types do not match"),
    (RULE.format("order.order_amount > 100 && order.user_id > 5"), 3, 51, "types do not match"),
    (RULE.format("order.order_amount"), 3, 9, "must be a bool"),
    (RULE.format("order.order_amount >"), 3, 29, "Syntax"),
    (RULE.format("order.payment_method == 'cash'"), 3, 33, "credit_card"),
    (RULE.format("order.payment_method in ['crypto', 'cash']"), 3, 44, "never 'cash'"),
    (RULE.format("order.device_id in lists.nowhere"), 3, 28, "lists.nowhere"),
    (RULE.format("score > 1.5"), 3, 9, "never match"),
    (RULE.format("order.ip_country == 'KP' && order.ip_country == 'IR'"), 3, 9, "never match"),
    (RULE.format("order.account_age_days > 5 && order.account_age_days < 6"), 3, 9, "never match"),
    (RULE.format("|\n    score < 0.5\n      && order.amount > 5"), 5, 10, "order.amount"),
    (RULE.format("'true'") + "- name: b\n  when: score < 0.1\n  then: approve\n  reason: r\n", 6, 9, "unreachable"),
    (RULE.format("score < 0.1") + RULE.format("score < 0.2").removeprefix("rules:\n"), 6, 9, "duplicate rule a"),
    ("lists: {blocked: 5}\n", 1, 18, "expected a mapping"),
    ("lists: {blocked: {file: nowhere.txt}}\n", 1, 25, "nowhere.txt"),
    ("lists: {Blocked-Ones: [a]}\n", 1, 23, "Blocked-Ones"),
    ("lists: {blocked: [[a]]}\n", 1, 19, "string"),
    ("rules: [\n", 2, 1, "expected"),
    ("a: &x [1]\nb: *x\n", 2, 4, "references"),
    ("[" * 100_000, 1, 21, "deep"),
    ("rules: \x00", 1, 1, "characters"),
]


@pytest.mark.parametrize(("text", "line", "column", "named"), BROKEN, ids=[str(n) for n in range(len(BROKEN))])
def test_a_mistake_is_refused_with_its_position(tmp_path: Path, text: str, line: int, column: int, named: str) -> None:
    """Each mistake is reported with line, column and the name in question; the previous policy stays in force."""
    write_policy(tmp_path, FULL)
    watched = WatchedPolicy(tmp_path / "policy.yaml", DEFAULTS)
    before = watched.policy
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(PolicyError) as caught:
        read_policy(tmp_path / "policy.yaml", DEFAULTS)
    assert (caught.value.line, caught.value.column) == (line, column), str(caught.value)
    assert named in str(caught.value) and f"policy.yaml:{line}:{column}:" in str(caught.value)
    assert not watched.reload() and watched.policy is before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"# " + b"x" * (1 << 20), "larger than"),
        (b"\xef\xbb\xbfrules: 5", "a list"),
        (None, "read"),
    ],
)
def test_files_that_are_no_policy_are_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    """Bytes that are not text, a file that is too large and a missing one are errors that name the file."""
    path = tmp_path / "policy.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PolicyError, match=words):
        read_policy(path, DEFAULTS)


CONDITIONS = (
    "order.card_country != order.billing_country && order.order_amount > 90000",
    "order.ip_country == 'KP' || order.ip_country == 'IR'",
    "!(order.ip_country == 'KP') && order.ip_country != 'IR'",
    "order.account_age_days > order.orders_last_24h && order.orders_last_24h > 3",
    "order.order_amount > 100 && order.order_amount < 100.5",
    "order.device_id in lists.devices && order.user_id in lists.trusted && score < 0.001",
    "order.order_amount / order.avg_order_value > 20",
    "order.email_domain.endsWith('.ru') && order.user_agent.matches('(?i)curl')",
    "order.order_amount * 2.0 < score",
    "abuse.payment_fraud > 0.99 && likely_abuse != 'fake_account'",
)


@pytest.mark.parametrize("when", CONDITIONS)
def test_a_satisfiable_condition_is_accepted(tmp_path: Path, when: str) -> None:
    """No condition is refused as unsatisfiable if some order satisfies it."""
    text = FULL.split("rules:", maxsplit=1)[0] + f'rules:\n- {{name: a, when: "{when}", then: deny, reason: r}}\n'
    assert write_policy(tmp_path, text).rules is not None


def test_a_policy_is_accepted_once_its_list_exists(tmp_path: Path) -> None:
    """A policy that was refused for a missing list is accepted once the list exists, with its file unchanged."""
    write_policy(tmp_path, FULL)
    watched = WatchedPolicy(tmp_path / "policy.yaml", DEFAULTS)
    (tmp_path / "policy.yaml").write_text(FULL.replace("devices.txt", "later.txt"))
    assert not watched.reload() and not watched.reload()
    (tmp_path / "later.txt").write_text("dev-9\n")
    assert watched.reload()
    assert decide(watched.policy, message(device_id="dev-9"), prediction_of(0.9))[0].decision == pb.DECISION_DENY


def test_a_comment_names_nothing(tmp_path: Path) -> None:
    """A field, a number or a quote in a comment of a condition has no effect."""
    when = "|\n    score < 0.5 // not 'order.device_id\n      // || score > 2, and not order.payment_method == 'cash'\n"
    policy = write_policy(tmp_path, f"rules:\n- name: a\n  when: {when}  then: deny\n  reason: r\n")
    assert decide(policy, message(device_id=None), prediction_of(0.3))[0].matched_rules
