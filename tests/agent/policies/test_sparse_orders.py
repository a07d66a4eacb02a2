"""Sparse orders: with too few known fields no score decides in either direction, whatever else the policy says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.cases.rescoring import Rescoring
from agent_server.decisions.comparison import ScoredOrder, Tally
from agent_server.decisions.counterfactual import candidate_changes, smallest_changes
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import INFORMATIVE, Policy, RandomisedApprovals
from agent_server.decisions.review_budget import ReviewBudget
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.policies.current import CurrentPolicy
from agent_server.policies.document import read_policy
from contract.fields import FIELDS, REQUIRED
from contract.prices import Prices
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.registry.bundle import Bundle
from ml_server.serving.scorer import FULL, Scorer
from testing.inputs.orders import DOCUMENTED, message
from testing.ledger.decisions import new_decision

DEFAULT = Policy(0.7, 0.4)
MINIMUM = DEFAULT.minimum_evidence
_VALUES: dict[str, Any] = {"text": "DE", "number": 20.0, "count": 3, "flag": False, "enum": 1}
shares = st.floats(0, 1)


def prediction_of(score: float) -> PredictResponse:
    """Return a score without reasons."""
    return PredictResponse(legitimacy_score=score)


def order_with(names: set[str], hour: int = 12) -> Transaction:
    """Return an order placed at an hour of a day, with values in some fields."""
    order = Transaction(transaction_id="t", user_id="u")
    order.timestamp.FromJsonString(f"2026-03-01T{hour:02d}:00:00Z")
    for name in names - set(REQUIRED):
        if FIELDS[name].kind == "time":
            getattr(order, name).FromJsonString("2026-02-01T00:00:00Z")
        else:
            setattr(order, name, _VALUES[FIELDS[name].kind])
    return order


few = st.sets(st.sampled_from(INFORMATIVE), max_size=MINIMUM - 1)
uninformative = st.sets(st.sampled_from([name for name in FIELDS if name not in INFORMATIVE]))


@given(few, uninformative, st.integers(0, 23), shares, shares, shares, st.booleans(), st.booleans())
def test_no_score_decides_a_sparse_order(
    known: set[str], others: set[str], hour: int, score: float, one: float, two: float, decides: bool, spent: bool
) -> None:
    """For any score, thresholds, hour and budget, with a deciding agent and random approvals, a person decides."""
    if one == two:
        return
    everybody = RandomisedApprovals(1.0, 1e9, b"0123456789abcdef")
    policy = Policy(max(one, two), min(one, two), decides, randomised=everybody, reviews_a_day=1)
    order = order_with(known | others, hour)
    min_cost = float("inf") if spent else 0.0
    answer, reason = decide(policy, order, prediction_of(score), 0, min_cost)
    assert (answer.decision, answer.decision_maker) == (pb.DECISION_REVIEW, pb.DECISION_MAKER_REVIEW_REQUIRED)
    assert reason == cases.CASE_REASON_LITTLE_KNOWN
    assert answer.agent_analysis.recommendation == pb.RECOMMENDATION_ESCALATE
    missing = next(name for name in INFORMATIVE if name not in known)
    assert f"only {len(known)} informative field{' is' if len(known) == 1 else 's are'} known" in answer.reasoning
    assert f"needs {MINIMUM}: missing are" in answer.reasoning and missing in answer.reasoning
    assert not policy.is_uncertain(order, prediction_of(score))


@given(st.sets(st.sampled_from(INFORMATIVE)), st.integers(0, len(INFORMATIVE)), shares)
def test_the_minimum_decides_which_orders_are_sparse(known: set[str], minimum: int, score: float) -> None:
    """With at least the minimum of informative fields the thresholds decide; with fewer they never do."""
    policy = Policy(0.7, 0.4, minimum_evidence=minimum)
    decided = policy.evaluate(order_with(known), prediction_of(score)).decision != pb.DECISION_REVIEW
    assert decided == (len(known) >= minimum and (score >= 0.7 or score <= 0.4))


@pytest.mark.parametrize("hour", [3, 12])
def test_three_required_fields_are_reviewed_at_any_hour(model: Bundle, hour: int) -> None:
    """The real model's score of an order without informative fields decides nothing, by day and by night."""
    order = order_with(set(), hour)
    answer, _ = decide(DEFAULT, order, Scorer(model).predict(order, FULL))
    assert answer.decision == pb.DECISION_REVIEW
    assert "0 informative fields are known" in answer.reasoning


def test_the_documented_order_is_still_decided() -> None:
    """Five informative fields are enough: the README's order is approved and denied by its score."""
    for score, decision in ((0.4, pb.DECISION_DENY), (0.7, pb.DECISION_APPROVE)):
        verdict = DEFAULT.evaluate(message(), prediction_of(score))
        assert (verdict.decision, verdict.maker) == (decision, pb.DECISION_MAKER_ML_MODEL)


RULES = """\
rules:
  - {name: far, when: "order.ip_country == 'DE'", then: %s, reason: Because. %s}
"""


@pytest.mark.parametrize(
    ("effect", "mode", "decision"),
    [
        ("deny", "", pb.DECISION_DENY),
        ("approve", "", pb.DECISION_APPROVE),
        ("{approve: 0.2, deny: 0.1}", "", pb.DECISION_REVIEW),
        ("{approve: 0.99, deny: 0.98}", "", pb.DECISION_REVIEW),
        ("deny", ", mode: shadow", pb.DECISION_REVIEW),
    ],
)
def test_rules_of_the_shop_win(tmp_path: Path, effect: str, mode: str, decision: pb.Decision) -> None:
    """A rule that says deny or approve also decides sparse orders; thresholds of a rule and shadow rules do not."""
    path = tmp_path / "policy.yaml"
    path.write_text(RULES % (effect, mode))
    policy, _ = read_policy(path, DEFAULT)
    assert policy.evaluate(order_with({"ip_country"}), prediction_of(0.3)).decision == decision


def test_a_policy_test_counts_them_as_reviews() -> None:
    """`vouch policy test` counts sparse orders as reviews."""
    tally = Tally()
    for score in (0.0, 0.2, 0.4, 0.55, 0.9):
        tally.add(DEFAULT, ScoredOrder(order_with({"phone_verified"}), prediction_of(score), 0), Prices())
    assert tally.decisions == {pb.DECISION_REVIEW: 5}


def test_counterfactuals_of_a_sparse_order_hold() -> None:
    """Counterfactuals are listed only if the changed order has enough fields for the thresholds."""
    for known, approved in (({"order_amount"}, False), ({"order_amount", "ip_country"}, True)):
        order = order_with(known)
        answer, _ = decide(DEFAULT, order, prediction_of(0.2))
        changed = candidate_changes(order)
        changes = smallest_changes(DEFAULT, answer, changed, [prediction_of(0.95)] * len(changed), 0)
        assert bool(changes) == approved


def test_sparse_orders_leave_the_budget_of_the_others_alone() -> None:
    """Sparse orders do not affect the costs in the band, and are reviewed even when the budget is spent."""
    policy = Policy(0.7, 0.4, reviews_a_day=1)
    budget = ReviewBudget()
    order = order_with({"order_amount"})
    for _ in range(3):
        min_cost = budget.min_expected_cost(policy, order, prediction_of(0.5))
        answer, _ = decide(policy, order, prediction_of(0.5), 0, min_cost)
        assert (min_cost, answer.decision) == (0.0, pb.DECISION_REVIEW)
        budget.record_review()


class _Scorer:
    """A scorer that is available again and scores every order as abuse."""

    async def available(self) -> bool:
        """Return True."""
        return True

    async def predict_many(self, orders: Sequence[Transaction]) -> list[PredictResponse | None]:
        """Give each order a low score."""
        return [prediction_of(0.1) for _ in orders]


async def test_a_score_that_comes_later_denies_no_sparse_order(ledger_url: str) -> None:
    """Orders decided without a score keep their case when the score comes, except those with enough known fields."""
    ledger = Ledger(open_engine(ledger_url))
    sparse: dict[str, Any] = {name: None for name in DOCUMENTED if name in INFORMATIVE and name != "new_device"}
    await ledger.write(new_decision("sparse", score=None, **sparse))
    await ledger.write(new_decision("enough", score=None))
    scoring: Any = _Scorer()
    assert await Rescoring(ledger, scoring, CurrentPolicy(DEFAULT)).run_once() == 2
    for name, decision in (("tsparse", pb.DECISION_REVIEW), ("tenough", pb.DECISION_DENY)):
        record = await ledger.read(latest_record(name))
        assert record is not None and (record.decision, record.revision) == (decision, 2)
    ledger.close()
