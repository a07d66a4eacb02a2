"""Conditions on extras of an order, and whole numbers beside fractions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.conditions.facts import fact_reader
from agent_server.conditions.language import ConditionError, Language
from agent_server.conditions.satisfiability import is_satisfiable
from agent_server.conditions.trials import check_evaluates
from generated.vouch.v1.transaction_pb2 import Transaction

LISTS = {"bad": frozenset(["A1"])}


def order(**fields: Any) -> Transaction:
    """Return an order with an amount, a mean, a count and four extras."""
    defaults: dict[str, Any] = {"order_amount": 100.0, "avg_order_value": 30.0, "total_orders_lifetime": 3}
    extras = {
        "extra_numbers": {"weight_kg": 2.5, "branch_no": 3},
        "extra_texts": {"sku": "A1", "floor": "7", "blank": " "},
    }
    return Transaction(transaction_id="t", user_id="u", **(defaults | extras | fields))


def result_of(text: str, given_order: Transaction | None = None) -> bool | None:
    """Return what a condition gives for an order; it must compile, be satisfiable and not fail on samples."""
    language = Language(LISTS)
    condition = language.compile(text)
    check_evaluates(language, condition)
    assert is_satisfiable(language, condition)
    facts = fact_reader([condition], LISTS)(given_order or order(), None)
    return condition.evaluate(language.activation(facts))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("order.order_amount > order.avg_order_value * 3", True),
        ("order.order_amount > 4 * order.avg_order_value", False),
        ("order.order_amount > 3 * (order.total_orders_lifetime + 1)", True),
        ("order.order_amount / order.total_orders_lifetime > 33", True),
        ("order.order_amount - 99 <= 1 && order.total_orders_lifetime == 3", True),
        ("order.order_amount in [1, 100]", True),
        ("-order.total_orders_lifetime < order.order_amount", True),
        ("order.total_orders_lifetime * 1.5 > 4", True),
        ("order.order_amount > (order.total_orders_lifetime > 2 ? 200.0 : 50.0)", False),
        ('"3 > 2" == "3 > 2" && order.order_amount\n  + 1 > 100', True),
        ("order.extra.weight_kg > 2", True),
        ("order.extra.weight_kg * 2 > order.order_amount - 96", True),
        ("order.extra.branch_no == 3", True),
        ('order.extra.branch_no == "3"', True),
        ("order.extra.floor > 6", True),
        ('order.extra.sku in ["A1", "B2"]', True),
        ("order.extra.sku in lists.bad", True),
        ('order.extra.sku.startsWith("A")', True),
        ('order.extra.sku != "A1" || order.extra.weight_kg < 1', False),
        ("order.extra.sku > 1", None),
        ("order.extra.unknown > 1", None),
        ("has(order.extra.sku) && !has(order.extra.unknown) && !has(order.extra.blank)", True),
        ("!has(order.extra.weight_kg) || order.extra.weight_kg < 3", True),
        ("order.extra.floor == order.extra.floor", True),
    ],
)
def test_conditions(text: str, wanted: bool | None) -> None:
    """Extras are read as what the condition compares them with; whole numbers count as fractions beside fractions."""
    assert result_of(text) is wanted


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("order.extra == 1", 1, "write order.extra.<name>"),
        ("order.texts.sku == 'x'", 1, "write order.extra.<name>"),
        ("order.extra.sku > 5 && order.extra.sku == 'x'", 17, "types do not match"),
        ("order.order_amount * 3 > 'x'", 24, "types do not match: '_>_' applied to '(double, string)'"),
        ("order.order_amount + 1 > 2 && order.emial_domain == 'x'", 31, "did you mean order.email_domain?"),
        ("order.extra.sku in lists.worse", 20, "unknown name lists.worse"),
    ],
)
def test_mistakes_keep_their_place(text: str, column: int, words: str) -> None:
    """An error is at the place in the text that was written, also where numbers were completed before it."""
    with pytest.raises(ConditionError) as caught:
        Language(LISTS).compile(text)
    assert words in caught.value.message and caught.value.column == column


def test_an_extra_can_be_text_in_one_rule_and_number_in_another() -> None:
    """Conditions of one policy do not fix the kind of an extra for one another."""
    language = Language()
    conditions = [language.compile(text) for text in ("order.extra.branch_no > 2", 'order.extra.branch_no == "3"')]
    activation = language.activation(fact_reader(conditions, {})(order(), None))
    assert [condition.evaluate(activation) for condition in conditions] == [True, True]
    assert language.compile_any(conditions).eval(activation).value() is True


@given(
    numbers=st.lists(st.integers(0, 50), min_size=2, max_size=5), data=st.data(),
    amount=st.integers(1, 500), mean=st.integers(0, 100),
)  # fmt: skip
def test_arithmetic_is_that_of_fractions(numbers: list[int], data: st.DataObject, amount: int, mean: int) -> None:
    """Sums and products of an amount, a mean and whole numbers, in any nesting, are what Python's floats give."""
    operators = st.sampled_from(["+", "-", "*"])

    def build(depth: int) -> str:
        if depth == 0:
            return data.draw(st.sampled_from(["order.order_amount", "order.avg_order_value", *map(str, numbers)]))
        text = f"{build(depth - 1)} {data.draw(operators)} {build(data.draw(st.integers(0, depth - 1)))}"
        return f"({text})" if data.draw(st.booleans()) else text

    expression = f"{build(2)} - order.avg_order_value"
    named = expression.replace("order.order_amount", f"{amount}.0").replace("order.avg_order_value", f"{mean}.0")
    wanted = eval(named) > numbers[0]
    assert result_of_plain(f"{expression} > {numbers[0]}", amount, mean) is wanted


def result_of_plain(text: str, amount: int, mean: int) -> bool | None:
    """Return what a condition gives for an order with an amount and a mean."""
    language = Language()
    condition = language.compile(text)
    given_order = Transaction(order_amount=float(amount), avg_order_value=float(mean))
    return condition.evaluate(language.activation(fact_reader([condition], {})(given_order, None)))
