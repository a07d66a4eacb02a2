"""`has()` in conditions of a policy: whether a field is known, for any value."""

from pathlib import Path
from typing import Any

import pytest

from agent_server.conditions.facts import fact_reader
from agent_server.conditions.language import KINDS, ConditionError, Language
from agent_server.conditions.policy_rules import MIN_ORDERS_TO_GROUP
from agent_server.conditions.satisfiability import is_satisfiable
from agent_server.decisions.policy import Policy
from agent_server.policies.document import read_policy
from contract.fields import FIELDS, REQUIRED, Field
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import AbuseTypeScores, PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction

SCORED = PredictResponse(legitimacy_score=0.5, abuse_type_scores=AbuseTypeScores(payment_fraud=0.1))
_VALUES: dict[str, list[Any]] = {
    "text": ["DE"], "number": [0.0, 12.5], "count": [0, 3], "flag": [False, True], "time": [], "enum": [1, 2],
}  # fmt: skip


def bare_order() -> Transaction:
    """Return an order with the required fields only."""
    order = Transaction(transaction_id="t", user_id="u")
    order.timestamp.FromJsonString("2026-03-01T10:00:00Z")
    return order


def with_values(field: Field) -> list[Transaction]:
    """Yield the order with each of some values in a field, zero or false among them."""
    if field.kind == "time":
        order = bare_order()
        getattr(order, field.name).FromJsonString("1970-01-01T00:00:00Z")
        return [order]
    orders = []
    for value in _VALUES[field.kind]:
        orders.append(bare_order())
        setattr(orders[-1], field.name, value)
    return orders


def is_true(text: str, order: Transaction, prediction: PredictResponse | None = SCORED) -> bool:
    """Return whether a condition is true for an order."""
    language = Language(["names"])
    condition = language.compile(text)
    facts = fact_reader([condition], {"names": frozenset(["DE"])})
    return condition.matches(language.activation(facts(order, prediction)))


@pytest.mark.parametrize("field", FIELDS.values(), ids=FIELDS)
def test_has_is_presence_for_every_field(field: Field) -> None:
    """`has()` of every field of the contract is true with any value, also 0 and false, and false without one."""
    has = f"has(order.{field.name})"
    for order in with_values(field):
        assert is_true(has, order) and not is_true(f"!{has}", order)
    if field.name not in REQUIRED:
        assert not is_true(has, bare_order()) and is_true(f"!{has}", bare_order())


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("abuse.")])
def test_has_of_a_probability_says_whether_there_is_a_score(name: str) -> None:
    """A rule can test whether the order was scored."""
    assert is_true(f"has({name})", bare_order()) and not is_true(f"!has({name})", bare_order())
    assert not is_true(f"has({name})", bare_order(), None) and is_true(f"!has({name})", bare_order(), None)


@pytest.mark.parametrize(
    ("text", "phone", "matches"),
    [
        ("has(order.phone_verified) && !order.phone_verified", False, True),
        ("has(order.phone_verified) && !order.phone_verified", True, False),
        ("has(order.phone_verified) && !order.phone_verified", None, False),
        ("!has(order.phone_verified) || !order.phone_verified", None, True),
        ("!has(order.phone_verified) || !order.phone_verified", True, False),
        ("has(order.phone_verified) ? order.phone_verified : true", None, True),
        ("has( order\n  . phone_verified // whether it is known\n ) == false", None, True),
        ("[1, 2].all(n, has(order.phone_verified) == false)", None, True),
        ("has({'a': 1}.a) && !has(order.phone_verified)", None, True),
        ("!has(order.phone_verified) && order.user_id == 'has(order.phone_verified)'", None, False),
        ("!has(order.phone_verified) && score < 1 && order.user_id in lists.names == false", None, True),
    ],
)
def test_has_inside_conditions(text: str, phone: bool | None, matches: bool) -> None:
    """`has()` combines with everything else that conditions allow, in any notation."""
    order = bare_order()
    if phone is not None:
        order.phone_verified = phone
    assert is_true(text, order) == matches


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("has(order.phone_verifed)", 5, "unknown name order.phone_verifed; did you mean order.phone_verified?"),
        ("score > 0.1 && has(score)", 16, "has() takes one field of an order"),
        ("has((order.phone_verified))", 1, "has() takes one field of an order"),
        ("has(lists.names)", 1, "has() takes one field of an order"),
        ("has(order)", 1, "has() takes one field of an order"),
        ("has(order.timestamp.seconds)", 1, "has() takes one field of an order"),
        ("has_order_phone_verified_", 1, "unknown name has_order_phone_verified_"),
        ("has(order.`phone_verified`)", 11, "backticks are not allowed"),
        ("has(order.phone_verified) && order.order_amount > 'x'", 49, "types do not match"),
    ],
)
def test_invalid_arguments_of_has_are_refused(text: str, column: int, words: str) -> None:
    """`has()` takes one field; a typo is reported with the nearest field, later positions are those of the text."""
    with pytest.raises(ConditionError) as caught:
        Language(["names"]).compile(text)
    assert words in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("has(order.card_bin)", True),
        ("!has(order.card_bin)", True),
        ("has(order.card_bin) && !has(order.card_bin)", False),
        ("!has(order.card_bin) && order.card_bin == '424242'", False),
        ("!has(order.card_bin) || order.card_bin == '424242'", True),
        ("!has(order.user_id)", False),
        ("!has(order.timestamp)", False),
        ("!has(order.account_created_date)", True),
        ("!has(abuse.fake_account) && score > 0.5", False),
        ("!has(abuse.fake_account) && order.new_device", True),
        ("has(order.orders_last_24h) && order.orders_last_24h < 0", False),
        ("!has(order.user_agent) && order.user_agent in lists.names", False),
    ],
)
def test_unsatisfiable_conditions_are_known(text: str, possible: bool) -> None:
    """The check for unsatisfiable conditions knows which fields can be unknown."""
    language = Language(["names"])
    assert is_satisfiable(language, language.compile(text)) == possible


RULES = """\
rules:
  - {name: unknown-phone, when: "!has(order.phone_verified)", then: review, reason: r}
  - {name: known-phone, when: has(order.phone_verified), then: deny, reason: r, mode: shadow}
  - {name: large, when: order.order_amount > 100, then: deny, reason: r}
"""


def test_rules_of_a_policy_use_it(tmp_path: Path) -> None:
    """Rules with `has()` match unknown fields, combined and separately, applied and in the shadow."""
    path = tmp_path / "policy.yaml"
    path.write_text(RULES)
    policy, _ = read_policy(path, Policy(0.7, 0.4))
    known = bare_order()
    known.phone_verified = False
    for _ in range(2 * MIN_ORDERS_TO_GROUP):
        verdict = policy.evaluate(bare_order(), SCORED)
        assert (verdict.decision, [rule.name for rule in verdict.matched]) == (pb.DECISION_REVIEW, ["unknown-phone"])
        assert [rule.name for rule in policy.evaluate(known, SCORED).matched] == ["known-phone"]
