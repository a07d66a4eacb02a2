"""Policies from files: rules that match, and reloading while the agent serves."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent_server.conditions.facts import fact_reader
from agent_server.conditions.language import Language
from agent_server.conditions.policy_rules import MIN_ORDERS_TO_GROUP, Rule, Rules
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.policies.current import WatchedPolicy
from agent_server.policies.document import read_policy
from agent_server.policies.yaml_reader import PolicyError
from contract.fields import FIELDS
from contract.texts import NORMALISED
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import AbuseTypeScores, PredictResponse
from generated.vouch.v1.transaction_pb2 import PaymentMethod
from testing.inputs.hostile import TEXTS
from testing.inputs.orders import message
from testing.servers.processes import ROOT

DEFAULTS = Policy(0.7, 0.4)
DOCUMENTED = (ROOT / "docs" / "reference" / "policy.md").read_text().split("```yaml\n")[1].split("```")[0]
FULL = """\
thresholds: {approve: 0.8, deny: 0.3}
minimum_evidence: 3
unscored: deny
lists:
  trusted: [user-123]
  devices: {file: devices.txt}
rules:
  - name: blocked-device
    when: order.device_id in lists.devices
    then: deny
    reason: The device was used for abuse before.
  - name: trusted-user
    when: order.user_id in lists.trusted && order.order_amount < 500
    then: approve
    reason: We know this customer.
  - name: new-and-large
    when: |
      order.order_amount > 1000.0
        && order.account_age_days < 30
    then: review
    reason: Large orders of new accounts are looked at.
  - name: strict-on-cards
    when: likely_abuse == 'payment_fraud' && abuse.payment_fraud > 0.2
    then: {approve: 0.95}
    reason: Card fraud is expensive.
  - name: midnight
    when: order.timestamp.getHours() < 5
    then: deny
    reason: Tried out.
    mode: shadow
  - name: sale
    when: order.promo_code_used
    then: review
    reason: While the sale lasts.
    until: 2026-12-31
"""


def write_policy(folder: Path, text: str) -> Policy:
    """Write a policy file with this text and read it."""
    (folder / "devices.txt").write_text("# seen before\ndev-1  # twice\ndev-2\n")
    (folder / "policy.yaml").write_text(text)
    return read_policy(folder / "policy.yaml", DEFAULTS)[0]


def prediction_of(score: float, **types: float) -> PredictResponse:
    """Return a prediction with a score."""
    return PredictResponse(legitimacy_score=score, abuse_type_scores=AbuseTypeScores(**types))


@pytest.fixture
def full_policy(tmp_path: Path) -> Policy:
    """Return a policy with every kind of setting and rule."""
    return write_policy(tmp_path, FULL)


def test_settings_for_reviewers(tmp_path: Path) -> None:
    """Due time, amount for two reviewers and budget are read, are part of the version, and change the digest."""
    policy = write_policy(tmp_path, "due_within: 8h\ntwo_reviewers: {from: 1000}\nreview_budget: {per_day: 200}\n")
    assert (policy.due_seconds, policy.two_reviewers_from, policy.reviews_a_day) == (8 * 3600, 1000, 200)
    assert all(part in policy.version for part in ("due=28800s", "two>=1000", "reviews=200/d"))
    assert policy.needs_two_reviewers(message(order_amount=1000)) and not policy.needs_two_reviewers(
        message(order_amount=999)
    )
    unknown = message()
    unknown.ClearField("order_amount")
    assert policy.needs_two_reviewers(unknown)
    nameless = Policy(0.7, 0.4, named_reviewers=False)
    with pytest.raises(PolicyError, match="VOUCH_AGENT_API_KEYS"):
        read_policy(tmp_path / "policy.yaml", nameless)


def test_the_first_rule_that_matches_decides_and_is_named(full_policy: Policy) -> None:
    """A rule decides at any score; the decision maker is the policy, and the answer names the rule and its reason."""
    answer, _ = decide(full_policy, message(device_id="dev-1", order_amount=50), prediction_of(0.99))
    assert (answer.decision, answer.decision_maker) == (pb.DECISION_DENY, pb.DECISION_MAKER_POLICY)
    assert [(rule.name, rule.effect, rule.shadow) for rule in answer.matched_rules] == [
        ("blocked-device", pb.RULE_EFFECT_DENY, False)
    ]
    assert "The device was used for abuse before." in answer.reasoning
    trusted, _ = decide(full_policy, message(order_amount=50), prediction_of(0.01))
    assert (trusted.decision, trusted.matched_rules[0].name) == (pb.DECISION_APPROVE, "trusted-user")
    large, reason = decide(full_policy, message(order_amount=5000), prediction_of(0.99))
    assert (large.decision, reason) == (pb.DECISION_REVIEW, cases.CASE_REASON_RULE)
    assert large.decision_maker == pb.DECISION_MAKER_POLICY and large.agent_analysis.evidence


def test_a_rule_can_set_thresholds(full_policy: Policy) -> None:
    """The rule's thresholds replace the policy's; one that it omits is the policy's."""
    order = message(user_id="somebody", order_amount=600, account_age_days=300)
    assert decide(full_policy, order, prediction_of(0.9))[0].decision == pb.DECISION_APPROVE
    strict, _ = decide(full_policy, order, prediction_of(0.9, payment_fraud=0.21))
    assert (strict.decision, strict.decision_maker) == (pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED)
    assert [rule.effect for rule in strict.matched_rules] == [pb.RULE_EFFECT_THRESHOLDS]
    assert "0.95" in strict.reasoning and "strict-on-cards" in strict.reasoning
    assert decide(full_policy, order, prediction_of(0.3, payment_fraud=0.7))[0].decision == pb.DECISION_DENY


def test_a_rule_in_the_shadow_is_named_and_not_applied(full_policy: Policy) -> None:
    """A shadow rule is listed after the applied rule and changes nothing."""
    order = message(user_id="somebody", order_amount=600, account_age_days=300)
    order.timestamp.FromJsonString("2025-02-11T03:00:00Z")
    answer, _ = decide(full_policy, order, prediction_of(0.9))
    assert answer.decision == pb.DECISION_APPROVE
    assert [(rule.name, rule.shadow) for rule in answer.matched_rules] == [("midnight", True)]


def test_a_rule_ends_when_it_says(full_policy: Policy) -> None:
    """`until` is the first moment at which the rule no longer matches."""
    order = message(user_id="somebody", order_amount=600, account_age_days=300, promo_code_used=True)
    midnight = 1_798_675_200_000_000  # 2026-12-31
    assert decide(full_policy, order, prediction_of(0.9), midnight - 1)[0].matched_rules
    assert not decide(full_policy, order, prediction_of(0.9), midnight)[0].matched_rules


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("order.vpn_proxy_detected", False),
        ("!order.vpn_proxy_detected", False),
        ("order.vpn_proxy_detected || order.order_amount > 1", True),
        ("!(order.vpn_proxy_detected && order.order_amount > 1)", False),
        ("order.email_domain == 'tempmail.net'", True),
        ("order.payment_method == 'crypto'", True),
        ("order.ip_country == 'KP'", True),
    ],
)
def test_unknown_fields_do_not_match(tmp_path: Path, when: str, matches: bool) -> None:
    """Neither a condition nor its negation is true for an unknown value; texts are compared in normalised form."""
    policy = write_policy(tmp_path, f'rules: [{{name: a, when: "{when}", then: deny, reason: r}}]')
    order = message(
        vpn_proxy_detected=None,
        email_domain="  TempMail.NET.",
        payment_method=PaymentMethod.PAYMENT_METHOD_CRYPTO,
        ip_country="KP",
    )
    assert bool(decide(policy, order, prediction_of(0.9))[0].matched_rules) is matches


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_rules_evaluated_together_match_as_each_alone(data: st.DataObject) -> None:
    """For any known fields, a hundred rules evaluated together match like one after another."""
    language, lists = Language(["seen"]), {"seen": frozenset({"dev-1"})}
    parts = st.sampled_from(
        [
            "order.order_amount > 100", "score < 0.5", "order.vpn_proxy_detected", "order.device_id in lists.seen",
            "!order.new_device", "order.ip_country != order.billing_country", "(order.new_device || score > 0.2)",
            "100.0 / order.avg_order_value > 3.0", "(order.phone_verified ? score < 0.9 : order.new_device)",
        ]
    )  # fmt: skip
    texts = data.draw(st.lists(st.lists(parts, min_size=1, max_size=3).map(" && ".join), min_size=1, max_size=40))
    rules = [
        Rule(f"r{at}", language.compile(text), pb.RULE_EFFECT_DENY, "r", shadow=data.draw(st.booleans()))
        for at, text in enumerate(texts)
    ]
    values = {
        "order_amount": 250.0, "vpn_proxy_detected": True, "device_id": "dev-1", "new_device": False,
        "ip_country": "DE", "billing_country": "FR", "avg_order_value": 0.0, "phone_verified": True,
    }  # fmt: skip
    unknown = data.draw(st.sets(st.sampled_from(sorted(values))))
    order = message(**{name: None if name in unknown else value for name, value in values.items()})
    prediction = prediction_of(0.3) if data.draw(st.booleans()) else None
    together = Rules(language, rules, lists)
    answers = [together.match(order, prediction, 0) for _ in range(MIN_ORDERS_TO_GROUP + 2)]
    matched = answers[0]
    assert all(answer == matched for answer in answers)
    facts = fact_reader([rule.condition for rule in rules], lists)
    activation = language.activation(facts(order, prediction))
    hits = [rule for rule in rules if rule.condition.matches(activation)]
    first = [rule.name for rule in hits if not rule.shadow][:1]
    assert [rule.name for rule in matched.matched] == first + [rule.name for rule in hits if rule.shadow]


def test_an_unscored_order_meets_rules_that_ask_for_no_score(tmp_path: Path) -> None:
    """A rule on the score does not match an order without one; others do."""
    rules = "rules:\n- {name: a, when: score < 0.9, then: approve, reason: r}\n"
    rules += "- {name: b, when: order.order_amount > 1, then: deny, reason: r}\n"
    answer, _ = decide(write_policy(tmp_path, rules), message(), None)
    assert [rule.name for rule in answer.matched_rules] == ["b"] and answer.degraded


def test_a_changed_file_or_list_is_reloaded(tmp_path: Path) -> None:
    """A changed file or list is read again and has another digest; an unchanged file is not read."""
    first = write_policy(tmp_path, FULL)
    watched = WatchedPolicy(tmp_path / "policy.yaml", DEFAULTS)
    assert watched.policy.digest == first.digest
    watched.reload()
    assert not watched.reload() and watched.policy.digest == first.digest
    order = message(device_id="dev-9", order_amount=50, user_id="somebody")
    assert not decide(watched.policy, order, prediction_of(0.9))[0].matched_rules
    (tmp_path / "devices.txt").write_text("dev-1\ndev-9\n")
    assert watched.reload() and watched.policy.digest != first.digest
    assert decide(watched.policy, order, prediction_of(0.9))[0].decision == pb.DECISION_DENY
    (tmp_path / "devices.txt").unlink()
    assert not watched.reload() and decide(watched.policy, order, prediction_of(0.9))[0].decision == pb.DECISION_DENY
    (tmp_path / "devices.txt").write_text("dev-1\n")
    (tmp_path / "policy.yaml").write_text(FULL.replace("0.8", "0.85"))
    assert watched.reload() and watched.policy.approve_from == 0.85


@pytest.mark.parametrize(
    "hostile", ["user-123\0x", "user-123\0", "\0", "user-123 ", "USER-123", "user-123\u200b", "x" * 128]
)
def test_no_text_passes_for_another(tmp_path: Path, hostile: str) -> None:
    """A name with a suffix, such as a line break, neither equals that name nor is in a list with it."""
    rules = "- {name: same, when: order.user_id == 'user-123', then: approve, reason: r}\n"
    rules += "- {name: listed, when: order.user_id in lists.trusted, then: approve, reason: r}\n"
    text = FULL.split("rules:", maxsplit=1)[0] + "rules:\n" + rules
    policy = write_policy(tmp_path, text)
    assert not decide(policy, message(user_id=hostile), prediction_of(0.5))[0].matched_rules
    assert decide(policy, message(), prediction_of(0.5))[0].matched_rules


def test_hostile_texts_are_compared_as_they_are(tmp_path: Path) -> None:
    """Every text of the shared table, in every text field: rules on it neither fail nor match another text."""
    fields = [
        name for name, field in FIELDS.items() if field.kind == "text" and name not in ("transaction_id", "currency")
    ]
    rules = "".join(
        f"- {{name: r{at}, when: order.{name} == 'trusted', then: deny, reason: r}}\n" for at, name in enumerate(fields)
    )
    policy, checked = write_policy(tmp_path, f"rules:\n{rules}"), 0
    for text in TEXTS:
        for name in fields:
            for hostile in (text, f"trusted{text}", f"{text}trusted"):
                answer, _ = decide(policy, message(**{name: hostile}), prediction_of(0.5))
                value = NORMALISED[name](hostile) if name in NORMALISED else hostile
                assert bool(answer.matched_rules) == (value == "trusted"), (name, hostile)
                checked += 1
    assert checked == 3 * len(TEXTS) * len(fields)


def test_an_empty_file_is_the_policy_of_the_settings(tmp_path: Path) -> None:
    """An empty file keeps the thresholds and all else of the settings; the version names a policy without rules."""
    policy = write_policy(tmp_path, "")
    assert (policy.approve_from, policy.deny_up_to, policy.version) == (0.7, 0.4, DEFAULTS.version)
    with_rules = write_policy(tmp_path, FULL)
    assert "rules=6@" in with_rules.version and with_rules.digest != policy.digest


def test_the_documented_policy_is_valid(tmp_path: Path) -> None:
    """The example in docs/reference/policy.md is a valid policy."""
    (tmp_path / "blocked_devices.txt").write_text("dev-1\n")
    policy = write_policy(tmp_path, DOCUMENTED)
    names = [rule.name for rule in policy.rules.rules] if policy.rules else []
    assert names == ["blocked-device", "card-fraud", "night"]
