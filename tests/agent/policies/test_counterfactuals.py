"""Counterfactuals: each listed change gets the stated score and an approval, and no smaller one does."""

import itertools
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from agent_server.decisions.counterfactual import MAX_COUNTERFACTUALS, candidate_changes, smallest_changes
from agent_server.decisions.decide import decide
from agent_server.decisions.policy import Policy
from contract.fields import FIELDS
from contract.messages import messages
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import PaymentMethod, Transaction
from ml_server.registry.bundle import Bundle
from ml_server.serving.scorer import FULL, Scorer
from testing.inputs.orders import message

POLICY = Policy(0.7, 0.4)
ORDERS = 2000
BY_HAND: tuple[Mapping[str, Any], ...] = (
    {"phone_verified": True},
    {"email_verified": True},
    {"three_ds_result": 1},
    {"cvv_check_result": 1},
    {"avs_result": 1},
    {"billing_shipping_match": True, "shipping_country": None},
)
"""The changes that a customer can make, written out again; None stands for the billing country."""


def with_changes(order: Transaction, *changes: Mapping[str, Any]) -> Transaction:
    """Return the order with changes made by hand."""
    other = Transaction()
    other.CopyFrom(order)
    for name, value in itertools.chain.from_iterable(change.items() for change in changes):
        if name in ("three_ds_result", "cvv_check_result", "avs_result") and order.payment_method in (3, 4):
            continue
        if value is not None:
            setattr(other, name, value)
        elif order.HasField("billing_country"):
            other.shipping_country = order.billing_country
    return other


def counterfactuals_of(
    scorer: Scorer, order: Transaction, policy: Policy = POLICY
) -> tuple[pb.ReviewResponse, list[pb.Counterfactual]]:
    """Return an answer and its counterfactuals."""
    answer, _ = decide(policy, order, scorer.predict(order, FULL))
    changed = candidate_changes(order)
    predictions = scorer.predict_batch([variant.order for variant in changed]) if changed else []
    return answer, smallest_changes(policy, answer, changed, predictions, 0)


def apply_change(order: Transaction, counterfactual: pb.Counterfactual) -> Transaction:
    """Return the order after a counterfactual, parsed as from a file."""
    other = Transaction()
    other.CopyFrom(order)
    for change in counterfactual.changes:
        field = FIELDS[change.field]
        value: Any = change.to_value
        if field.kind == "enum":
            value = field.numbers[value]
        setattr(other, change.field, value == "true" if field.kind == "flag" else value)
    return other


def test_each_change_does_what_it_says_and_none_is_smaller(model: Bundle, table: pa.Table) -> None:
    """Applied and scored again, each change has the stated score and is approved; brute force finds no smaller one."""
    scorer, reviewed, stated = Scorer(model), 0, 0
    for order in messages(table.slice(0, ORDERS)):
        if not POLICY.deny_up_to < scorer.score(order) < POLICY.approve_from:
            continue
        reviewed += 1
        _, counterfactuals = counterfactuals_of(scorer, order)
        for counterfactual in counterfactuals:
            stated += 1
            score = scorer.score(apply_change(order, counterfactual))
            assert abs(score - counterfactual.legitimacy_score) < 1e-9 and score >= POLICY.approve_from
        singles = {
            at for at, change in enumerate(BY_HAND) if scorer.score(with_changes(order, change)) >= POLICY.approve_from
        }
        pairs = {
            pair
            for pair in itertools.combinations(range(len(BY_HAND)), 2)
            if not singles & set(pair)
            and scorer.score(with_changes(order, *(BY_HAND[at] for at in pair))) >= POLICY.approve_from
        }
        assert len(counterfactuals) == min(len(singles) + len(pairs), MAX_COUNTERFACTUALS)
        if singles:
            best = max(scorer.score(with_changes(order, BY_HAND[at])) for at in singles)
            assert counterfactuals[0].legitimacy_score == best
    assert reviewed > 50 and stated > 50


def test_counterfactuals_are_readable() -> None:
    """A sentence has both scores; an unknown value has nothing before the arrow."""
    order = message(payment_method=PaymentMethod.PAYMENT_METHOD_PAYPAL, billing_country="DE", shipping_country="FR")
    names = [{change.field for change in variant.changes} for variant in candidate_changes(order)]
    assert {"shipping_country", "billing_shipping_match"} in names
    assert not any({"cvv_check_result", "avs_result", "three_ds_result"} & changed for changed in names)
    first = candidate_changes(order)[0].changes[0]
    assert (first.field, first.from_value, first.to_value) == ("phone_verified", "false", "true")


def test_a_golden_order(model: Bundle) -> None:
    """The changes of a fixed order are sorted by number, then score; with rules that never approve there are none."""
    order = message(
        order_amount=80.0, account_age_days=200, email_domain="gmail.com", phone_verified=None, new_device=True
    )
    policy = Policy(0.999, 0.0001)
    answer, counterfactuals = counterfactuals_of(Scorer(model), order, policy)
    assert answer.decision == pb.DECISION_REVIEW
    sizes = [len(counterfactual.sentence.split(" and ")) for counterfactual in counterfactuals]
    assert sizes == sorted(sizes)
    for counterfactual in counterfactuals:
        assert counterfactual.sentence.startswith("approve if ")
        assert f"-> {counterfactual.legitimacy_score:.2f})" in counterfactual.sentence
