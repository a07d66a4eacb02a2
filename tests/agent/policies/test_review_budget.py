"""The review budget: the band narrows by cost, and no more orders become cases than people can review."""

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.queries import count_opened_since
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from agent_server.decisions.review_budget import ReviewBudget, cheaper_mistake, min_cost_for, share_reviewed
from agent_server.ledger import Ledger, open_engine
from agent_server.policies.current import CurrentPolicy
from agent_server.running import count_reviews
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision

POLICY = Policy(0.7, 0.4, minimum_evidence=0, reviews_a_day=100)
INFINITE = float("inf")


@pytest.mark.parametrize(
    ("amount", "score", "decision", "cost"),
    [
        (10.0, 0.5, pb.DECISION_APPROVE, 5.0),
        (1000.0, 0.5, pb.DECISION_DENY, 10.0),
        (20.0, 0.5, pb.DECISION_APPROVE, 10.0),
    ],
)
def test_the_cheaper_mistake(amount: float, score: float, decision: pb.Decision, cost: float) -> None:
    """Approving costs P(abuse) times the amount, denying P(honest) times a customer; the cheaper one is taken."""
    chosen, found = cheaper_mistake(amount, score)
    assert chosen == decision and found == pytest.approx(cost)


@given(st.floats(0, 3), st.floats(0, 3))
def test_the_more_is_spent_the_less_is_reviewed(one: float, other: float) -> None:
    """All are reviewed up to four fifths of the budget, none at the whole, and never more when more was spent."""
    low, high = sorted((one, other))
    assert 1 >= share_reviewed(low) >= share_reviewed(high) >= 0
    assert share_reviewed(0.8) == 1 and share_reviewed(1.0) == 0


@given(costs=st.lists(st.floats(0, 1e6), min_size=1, max_size=200), spent=st.floats(0, 2))
def test_the_bar_passes_the_most_expensive_orders(costs: list[float], spent: float) -> None:
    """The orders that reach the bar are the most expensive ones, about as many as should be reviewed."""
    ordered = sorted(costs)
    min_cost = min_cost_for(ordered, spent)
    over = sum(cost >= min_cost for cost in ordered)
    assert over >= int(len(ordered) * share_reviewed(spent))
    if len(set(ordered)) == len(ordered) and 0 < share_reviewed(spent) < 1:
        assert over <= len(ordered) * share_reviewed(spent) + 1
    assert min_cost_for([], 0.9) == 0 and min_cost_for([], 1.0) == INFINITE


def test_an_order_below_the_bar_is_decided_on_the_cheaper_side() -> None:
    """The maker is the policy, with a reason; orders outside the band are unaffected."""
    order = message(order_amount=30.0)
    spared, _ = decide(POLICY, order, PredictResponse(legitimacy_score=0.6), 0, INFINITE)
    assert (spared.decision, spared.decision_maker) == (pb.DECISION_APPROVE, pb.DECISION_MAKER_POLICY)
    assert "100 reviews a day" in spared.reasoning and not spared.case_id
    for score, min_cost in ((0.6, 1.0), (0.6, 0.0), (0.9, INFINITE), (0.1, INFINITE)):
        answer, _ = decide(POLICY, order, PredictResponse(legitimacy_score=score), 0, min_cost)
        assert answer == decide(POLICY, order, PredictResponse(legitimacy_score=score), 0)[0]
    little = Policy(0.7, 0.4, minimum_evidence=30, reviews_a_day=100)
    answer, reason = decide(little, order, PredictResponse(legitimacy_score=0.9), 0, INFINITE)
    assert (answer.decision, reason) == (pb.DECISION_REVIEW, cases.CASE_REASON_LITTLE_KNOWN)


def test_a_flood_does_not_flood_the_queue() -> None:
    """Of 3,000 orders in the band with a budget of 100, at most 100 are reviewed, the most expensive among them."""
    budget, chance = ReviewBudget(), random.Random(2)
    reviewed, spared = list[float](), list[float]()
    for number in range(3000):
        order = message(transaction_id=f"t{number}", order_amount=chance.lognormvariate(3, 1))
        prediction = PredictResponse(legitimacy_score=chance.uniform(0.41, 0.69))
        cost = cheaper_mistake(order.order_amount, prediction.legitimacy_score)[1]
        answer, _ = decide(POLICY, order, prediction, 0, budget.min_expected_cost(POLICY, order, prediction))
        if answer.decision == pb.DECISION_REVIEW:
            budget.record_review()
            reviewed.append(cost)
        else:
            spared.append(cost)
    assert 90 <= len(reviewed) <= 100
    dear = reviewed[80:]
    assert sum(dear) / len(dear) > 1.3 * sum(spared) / len(spared)


async def test_spending_is_read_from_the_ledger(ledger_url: str) -> None:
    """Cases of the last day count; older, golden and closed ones count as documented."""
    ledger = Ledger(open_engine(ledger_url))
    for number in range(5):
        await ledger.write(new_decision(number))
    golden = new_decision("golden")
    golden._new_case = NewCase("f" * 32, cases.CASE_REASON_UNCERTAIN, golden=pb.DECISION_DENY)
    await ledger.write(golden)
    now = time.time_ns() // 1000
    assert await ledger.read(count_opened_since(now - 3_600_000_000)) == 5
    assert await ledger.read(count_opened_since(now + 3_600_000_000)) == 0
    budget = ReviewBudget()
    await count_reviews(budget, ledger, CurrentPolicy(POLICY))
    assert budget.spent == 5
    ledger.close()
