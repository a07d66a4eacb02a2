"""Decisions on orders in several currencies: scores, policy, queue and history depend on values, not on numbers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from agent_server import running as deciding
from agent_server.decisions.completion import from_proto
from agent_server.decisions.counterfactual import candidate_changes
from agent_server.decisions.policy import Policy, RandomisedApprovals
from agent_server.decisions.review_budget import ReviewBudget
from agent_server.policies.document import read_policy
from enrichment.rate_files import packaged_rates, read_money
from enrichment.rates import day_of
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.in_process import LocalServices, local_services
from testing.inputs.orders import message

TEN = ("USD", "EUR", "GBP", "JPY", "CHF", "INR", "BRL", "KRW", "KWD", "VND")
POLICY = """
thresholds: {approve: 0.99, deny: 0.0001}
rules:
  - {name: large, when: order.amount_in_base > 299.9 && order.amount_in_base < 300.1, then: review, reason: A large order.}
  - {name: known, when: has(order.amount_in_base), then: {approve: 0.98}, reason: Of known value., mode: shadow}
"""


def rate(currency: str, order: Transaction) -> float:
    """Return what a unit was worth in dollars on an order's day."""
    found = packaged_rates().find(currency, "USD", day_of(order.timestamp.seconds))
    assert found
    return found.value


def priced(currency: str, dollars: float = 299.99, **fields: Any) -> Transaction:
    """Return an order of a value in dollars, in a currency."""
    order = message(currency=currency, **fields)
    order.order_amount = dollars / rate(currency, order)
    if order.HasField("avg_order_value"):
        order.avg_order_value /= rate(currency, order)
    return order


@pytest.fixture
async def services(models: Path, tmp_path: Path) -> AsyncIterator[LocalServices]:
    """Scorer and agent with a policy on values."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with local_services(models, tmp_path, agent={"policy": tmp_path / "policy.yaml"}) as local:
        await wait_for_scores(local)
        yield local


async def wait_for_scores(local: LocalServices) -> None:
    """Return when the agent can reach a scorer that has a model."""
    stub: Any = local.agent.stub(deciding.AGENT)
    async with asyncio.timeout(60):
        while not (await stub.GetAgentInfo(pb.GetAgentInfoRequest())).scorer_available:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # no event reports it


def case_stub(local: LocalServices) -> Any:
    """Return the stub of cases."""
    return local.agent.stub(deciding.CASES)


async def review(local: LocalServices, order: Transaction) -> pb.ReviewResponse:
    """Return the agent's answer."""
    stub: Any = local.agent.stub(deciding.AGENT)
    answer: pb.ReviewResponse = await stub.Review(pb.ReviewRequest(transaction=order))
    return answer


async def test_one_order_in_ten_currencies_is_one_order(services: LocalServices) -> None:
    """Score, matched rules, decision, reasons and expected loss are those of the order in dollars, to 1e-9."""
    found = []
    for currency in TEN:
        names: dict[str, Any] = {"transaction_id": f"ten-{currency}", "user_id": f"user-{currency}"}
        answer = await review(services, priced(currency, avg_order_value=120.5, **names))
        of_case = cases.GetCaseRequest(case_id=answer.case_id)
        case = (await case_stub(services).GetCase(of_case)).case
        value = answer.order_value
        if currency != "USD":
            assert value.currency == "USD"
            assert value.amount == 299.99
            assert value.rate_date
            assert value.approximate == (currency in ("KWD", "VND"))
            assert from_proto(answer.completed_fields)["exchange_rate"] == value.exchange_rate
            assert case.order_value == value
        found.append((answer, case))
    first, first_case = found[0]
    assert not first.HasField("order_value")
    assert first.decision == pb.DECISION_REVIEW
    assert [rule.name for rule in first.matched_rules] == ["large", "known"]
    for answer, case in found[1:]:
        assert answer.legitimacy_score == pytest.approx(first.legitimacy_score, abs=1e-9)
        assert case.expected_loss == pytest.approx(first_case.expected_loss, abs=1e-9)
        assert answer.decision == first.decision
        assert answer.matched_rules == first.matched_rules
        assert answer.reasons == first.reasons
        assert answer.reasoning == first.reasoning


async def test_an_order_without_a_rate_is_reviewed(services: LocalServices) -> None:
    """The answer says why, states no value, and a rule on the value does not match; a rate of the shop's own counts."""
    answer = await review(services, message(transaction_id="unknown", currency="XYZ", order_amount=300.0))
    assert answer.decision == pb.DECISION_REVIEW
    assert "value in USD is unknown: there is no exchange rate of XYZ" in answer.reasoning
    assert not answer.matched_rules
    assert answer.order_value == pb.OrderValue(currency="USD")
    case = await case_stub(services).GetCase(cases.GetCaseRequest(case_id=answer.case_id))
    assert case.case.reason == cases.CASE_REASON_LITTLE_KNOWN
    assert case.case.expected_loss == 0
    own = message(transaction_id="own", currency="XYZ", order_amount=30.0, exchange_rate=10.0)
    answer = await review(services, own)
    assert answer.matched_rules[0].name == "large"
    assert answer.order_value == pb.OrderValue(currency="USD", amount=300.0, exchange_rate=10.0)
    assert "exchange_rate" not in from_proto(answer.completed_fields)
    with pytest.raises(grpc.RpcError) as failure:
        await review(services, message(transaction_id="zero", currency="XYZ", exchange_rate=0.0))
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_queue_of_a_mixed_shop_is_ordered_by_value(services: LocalServices) -> None:
    """Cases of orders in ten currencies come in the order of what a wrong approval costs in dollars, by brute force."""
    values, expected = [700.25, 15.5, 2400.0, 88.0, 4.25, 1300.0, 52.0, 9000.0, 310.0, 28.0], []
    for number, (currency, dollars) in enumerate(zip(TEN, values, strict=True)):
        order = priced(currency, dollars, transaction_id=f"mixed-{number}", user_id=f"mixed-{number}")
        answer = await review(services, order)
        if answer.case_id:
            expected.append(((1 - answer.legitimacy_score) * dollars, answer.case_id))
    assert len(expected) >= 8
    listed = await case_stub(services).ListCases(cases.ListCasesRequest(order=cases.CASE_ORDER_PRIORITY, page_size=100))
    assert [case.case_id for case in listed.cases] == [case_id for _, case_id in sorted(expected, reverse=True)]


def stated(currency: str, dollars: float) -> Transaction:
    """Return an order of a value in dollars as the policy sees it: with its rate."""
    return read_money().with_rate(priced(currency, dollars))


@pytest.mark.parametrize("currency", TEN)
def test_limits_of_a_policy_are_values(currency: str, tmp_path: Path) -> None:
    """Randomised approvals, two reviewers, the review budget and rules compare the value in the base currency."""
    (tmp_path / "policy.yaml").write_text(
        "two_reviewers: {from: 500}\nrandomised_approvals: {share: 1, up_to: 60}\nreview_budget: {per_day: 10}\n"
        "rules: [{name: sent, when: order.order_amount == 40.0 && order.amount_in_base == 40.0, then: deny, reason: r}]\n"
    )
    policy, _ = read_policy(tmp_path / "policy.yaml", Policy(0.7, 0.4, randomising_key=b"k" * 16))
    assert [policy.needs_two_reviewers(stated(currency, value)) for value in (499.99, 500, 500.01)] == [
        False,
        True,
        True,
    ]
    assert policy.randomised
    assert [policy.randomised.selects(stated(currency, value)) for value in (59.99, 60, 60.01)] == [True, True, False]
    budget, prediction = ReviewBudget(), PredictResponse(legitimacy_score=0.5)
    budget.min_expected_cost(policy, stated(currency, 7.5), prediction)
    budget.spent = 9
    assert budget.min_expected_cost(policy, stated(currency, 7.5), prediction) == 3.75
    matched = policy.evaluate(stated(currency, 40.0), prediction).matched
    assert [rule.name for rule in matched] == (["sent"] if currency == "USD" else [])
    changed = candidate_changes(stated(currency, 40.0))
    assert all(one.order.exchange_rate == stated(currency, 40.0).exchange_rate for one in changed)


def test_limits_treat_an_unknown_value_with_care() -> None:
    """Without a rate two people decide, nothing is approved at random, and the budget does not decide."""
    unknown = message(currency="XYZ", order_amount=1.0)
    policy = Policy(0.7, 0.4, two_reviewers_from=500.0, randomised=RandomisedApprovals(1.0, 60.0, b"k" * 16))
    prediction = PredictResponse(legitimacy_score=0.9)
    assert policy.needs_two_reviewers(unknown)
    assert not policy.randomised or not policy.randomised.selects(unknown)
    assert not policy.is_uncertain(unknown, PredictResponse(legitimacy_score=0.5))
    assert policy.evaluate(unknown, prediction).decision == pb.DECISION_REVIEW
    assert policy.evaluate(message(currency="USD"), prediction).decision == pb.DECISION_APPROVE
    euros = Policy(0.7, 0.4, two_reviewers_from=500.0, base_currency="EUR")
    assert not euros.needs_two_reviewers(message(currency="EUR", order_amount=499.0))
    assert euros.needs_two_reviewers(message(currency="USD", order_amount=499.0))
