"""The contract's rules, compiled, with the error texts of protovalidate."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from chaos.endpoints.fuzz import messages_of
from generated.vouch.v1 import agent_service_pb2, case_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.validation import checks as validation
from runtime.validation import contract_predicates as rules
from testing.inputs.orders import message

# -- validation


@given(messages_of(Transaction.DESCRIPTOR))
@hypothesis_settings(max_examples=120, deadline=None)
def test_accepted_messages_break_no_rule(order: Any) -> None:
    """The compiled conditions never accept what protovalidate refuses."""
    accepts = rules.message_predicate(Transaction.DESCRIPTOR)
    assert accepts is not None
    if accepts(order):
        assert not validation.validator().collect_violations(order)


def test_ordinary_messages_are_accepted_at_once(table: Any) -> None:
    """A thousand orders, complete and documented, and other requests pass without protovalidate."""
    from contract.messages import messages

    accepts = rules.message_predicate(Transaction.DESCRIPTOR)
    assert accepts is not None
    assert all(accepts(order) for order in messages(table.slice(0, 1000)))
    assert accepts(message())
    assert accepts(
        message(extra_numbers={f"V{number}": number / 7 for number in range(256)}, extra_texts={"shop": "x"})
    )
    for request in (pb.PredictRequest, agent_service_pb2.ReviewRequest, case_service_pb2.GetCaseRequest):
        assert rules.message_predicate(request.DESCRIPTOR) is not None


@pytest.mark.parametrize(
    "spoiled",
    [
        {"order_amount": 0.0},
        {"account_age_days": -1},
        {"currency": "EUR\n"},
        {"card_bin": "12345"},
        {"device_type": 77},
    ],
)
def test_refused_messages_name_their_field(spoiled: dict[str, Any]) -> None:
    """The error of a refused message is protovalidate's, with the field's path."""
    order = pb.PredictRequest(transaction=message())
    for name, value in spoiled.items():
        setattr(order.transaction, name, value)
    assert [field for field, _ in validation.violations(order)] == [f"transaction.{next(iter(spoiled))}"]
