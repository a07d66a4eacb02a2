"""Policy, evidence and settings."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.decisions.decide import decide
from agent_server.decisions.evidence import GROUPS, analyse
from agent_server.decisions.policy import INFORMATIVE, Policy
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.registry.bundle import Bundle
from ml_server.serving.scorer import FULL, Scorer
from runtime.settings import SettingsError
from testing.inputs.orders import DOCUMENTED, message

POLICY = Policy(0.7, 0.4)

shares = st.floats(0, 1)


def decide_documented(policy: Policy, score: float) -> pb.Decision:
    """Apply a policy to the documented order with a score."""
    return policy.evaluate(message(), PredictResponse(legitimacy_score=score)).decision


@pytest.mark.parametrize(
    ("score", "decision"),
    [
        (0.7, pb.DECISION_APPROVE),
        (0.4, pb.DECISION_DENY),
        (0.55, pb.DECISION_REVIEW),
        (math.nextafter(0.7, 0), pb.DECISION_REVIEW),
        (math.nextafter(0.4, 1), pb.DECISION_REVIEW),
        (1.0, pb.DECISION_APPROVE),
        (0.0, pb.DECISION_DENY),
    ],
)
def test_thresholds_are_inclusive(score: float, decision: pb.Decision) -> None:
    """A score equal to a threshold is decided by it; only scores strictly between are reviewed."""
    assert decide_documented(POLICY, score) == decision


@given(shares, shares, shares, shares)
def test_a_higher_score_never_gets_a_harsher_decision(low: float, high: float, first: float, second: float) -> None:
    """For any thresholds, a higher score never gets a harsher decision."""
    if low == high:
        return
    policy = Policy(max(low, high), min(low, high))
    order = [pb.DECISION_DENY, pb.DECISION_REVIEW, pb.DECISION_APPROVE]
    first, second = sorted((first, second))
    assert order.index(decide_documented(policy, first)) <= order.index(decide_documented(policy, second))


@pytest.mark.parametrize(("approve", "deny"), [(0.4, 0.7), (0.5, 0.5), (1.1, 0.4), (0.7, -0.1)])
def test_invalid_thresholds_are_refused(approve: float, deny: float) -> None:
    """The deny threshold must be below the approve threshold, both within 0..1."""
    with pytest.raises(ValueError, match="deny < approve"):
        Policy(approve, deny)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"VOUCH_AGENT_APPROVE_THRESHOLD": "0.3"}, "must be below"),
        ({"VOUCH_AGENT_APPROVE_THRESHOLD": "nan"}, "VOUCH_AGENT_APPROVE_THRESHOLD='nan'"),
        ({"VOUCH_AGENT_DENY_THRESHOLD": "low"}, "VOUCH_AGENT_DENY_THRESHOLD='low'"),
        ({"VOUCH_AGENT_APROVE_THRESHOLD": "0.8"}, "VOUCH_AGENT_APROVE_THRESHOLD is not a setting; did you mean"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str) -> None:
    """A setting with a bad value or an unknown name is an error that names the variable."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        AgentSettings.read()
    assert words in str(caught.value)


def test_evidence_covers_all_groups_and_names_values(model: Bundle) -> None:
    """The analysis has each of the five groups once, and its text names fields and values of the order."""
    analysis = analyse(Scorer(model).predict(message(ip_country="RO", cart_additions_session=1, avs_result=3), FULL))
    assert {each.group for each in analysis.evidence} == set(GROUPS)
    findings = " ".join(each.finding for each in analysis.evidence)
    assert "[email_domain = tempmail.net]" in findings
    assert "[new_device = true]" in findings
    strengths = [abs(each.contribution) for each in analysis.evidence]
    assert strengths == sorted(strengths, reverse=True)


def test_evidence_sums_to_the_score(model: Bundle) -> None:
    """The contributions of the groups and the base value sum to the raw score."""
    prediction = Scorer(model).predict(message(), FULL)
    total = sum(each.contribution for each in analyse(prediction).evidence)
    explanation = prediction.explanation
    assert total + explanation.base_value == pytest.approx(explanation.raw_score, abs=1e-6)


def test_the_agent_decides_only_where_it_may(model: Bundle) -> None:
    """Between the thresholds a person decides, unless the agent is allowed to and its evidence is clear."""
    prediction = Scorer(model).predict(message(), FULL)
    prediction.legitimacy_score = 0.45
    careful, reason = decide(Policy(0.7, 0.4), message(), prediction)
    assert (careful.decision, careful.decision_maker) == (pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED)
    assert reason == cases.CASE_REASON_UNCERTAIN
    assert careful.agent_analysis.recommendation == pb.RECOMMENDATION_DENY
    bold, _ = decide(Policy(0.7, 0.4, agent_decides=True), message(), prediction)
    assert (bold.decision, bold.decision_maker) == (pb.DECISION_DENY, pb.DECISION_MAKER_AGENT)
    assert careful.agent_analysis.summary in careful.reasoning


@pytest.mark.parametrize(("score", "decision"), [(0.95, pb.DECISION_APPROVE), (0.05, pb.DECISION_DENY)])
def test_clear_scores_are_decided_by_the_model(model: Bundle, score: float, decision: pb.Decision) -> None:
    """Beyond a threshold the model decides and there is no analysis."""
    prediction = Scorer(model).predict(message(), FULL)
    prediction.legitimacy_score = score
    review, _ = decide(POLICY, message(), prediction)
    assert (review.decision, review.decision_maker) == (decision, pb.DECISION_MAKER_ML_MODEL)
    assert not review.HasField("agent_analysis")
    assert f"{score:.3f}" in review.reasoning


# -- minimum evidence


@pytest.mark.parametrize("known", range(6))
def test_too_few_fields_are_not_approved(known: int) -> None:
    """With too few informative fields a good score is reviewed, and the reasoning names the missing ones."""
    fields = ("account_age_days", "email_domain", "phone_verified", "order_amount", "new_device")
    order = message(**dict.fromkeys(fields[known:]))
    order.currency, order.device_id, order.card_bin = "USD", "device", "424242"  # not informative by themselves
    verdict = POLICY.evaluate(order, PredictResponse(legitimacy_score=0.99))
    if known >= 4:
        assert (verdict.decision, verdict.analysis) == (pb.DECISION_APPROVE, None)
        return
    assert (verdict.decision, verdict.maker) == (pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED)
    assert (
        f"only {known} informative field{' is' if known == 1 else 's are'} known and a decision by score needs 4"
        in verdict.reasoning
    )
    assert "email_verified" in verdict.reasoning
    assert verdict.analysis is not None
    assert verdict.analysis.recommendation != pb.RECOMMENDATION_APPROVE


def test_too_little_is_known_for_the_agent_too() -> None:
    """An agent that may decide neither approves nor denies an order with too few informative fields."""
    bold, bare = Policy(0.7, 0.4, agent_decides=True), message(account_age_days=None, email_domain=None)
    for score in (0.1, 0.45, 0.65, 0.99):
        assert bold.evaluate(bare, PredictResponse(legitimacy_score=score)).decision == pb.DECISION_REVIEW
    free = Policy(0.7, 0.4, minimum_evidence=0)
    assert free.evaluate(bare, PredictResponse(legitimacy_score=0.8)).decision == pb.DECISION_APPROVE


@given(st.sets(st.sampled_from(INFORMATIVE)))
def test_taking_fields_away_never_brings_an_approval(present: set[str]) -> None:
    """For any subset of the documented fields, too few informative ones are never approved, at any score."""
    order = message(**{name: None for name in DOCUMENTED if name in INFORMATIVE and name not in present})
    known = sum(order.HasField(name) for name in INFORMATIVE)
    for score in (0.7, 0.9, 1.0):
        approved = POLICY.evaluate(order, PredictResponse(legitimacy_score=score)).decision == pb.DECISION_APPROVE
        assert approved == (known >= 4)


def test_two_reviewers_from_the_amount_on() -> None:
    """An order at the amount needs two reviewers, and so does one of unknown amount; a cent below needs one."""
    policy = Policy(approve_from=0.7, deny_up_to=0.4, two_reviewers_from=500.0)
    needs = [policy.needs_two_reviewers(message(order_amount=amount)) for amount in (499.99, 500.0, 500.01)]
    assert needs == [False, True, True]
    assert policy.needs_two_reviewers(Transaction(transaction_id="unknown amount"))
    assert not Policy(approve_from=0.7, deny_up_to=0.4).needs_two_reviewers(message(order_amount=1e9))
