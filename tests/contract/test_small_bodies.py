"""Small REST bodies: OpenAPI states the contract's rules for them, and numbers are read as in orders."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from http_bridge.json.message import read_into
from http_bridge.openapi.request_schemas import request_schema


def test_the_schema_has_the_contracts_rules() -> None:
    """Bounds, patterns, allowed enum values and required fields are in the schema."""
    resolve = request_schema(cases.ResolveCaseRequest.DESCRIPTOR, without=("case_id",))
    properties: dict[str, Any] = resolve["properties"]
    assert resolve["required"] == ["verdict", "token"] and not resolve["additionalProperties"]
    assert properties["verdict"]["enum"] == ["approve", "deny"]
    assert (properties["token"]["minimum"], properties["token"]["maximum"]) == (1, 2**63 - 1)
    assert properties["note"]["anyOf"][0]["maxLength"] == 4096
    assert properties["abuse_type"]["anyOf"][0]["enum"] == [
        "fake_account",
        "account_takeover",
        "payment_fraud",
        "card_testing",
        "",
    ]
    outcome = request_schema(outcomes.ReportOutcomeRequest.DESCRIPTOR)
    assert outcome["required"] == ["transaction_id", "kind", "occurred_at", "source"]
    assert outcome["properties"]["occurred_at"]["format"] == "date-time"


@pytest.mark.parametrize(("written", "read"), [("7", 7), ("7.0", 7), ('"7"', 7), ("9223372036854775807", 2**63 - 1)])
def test_whole_numbers_are_read_as_in_orders(written: str, read: int) -> None:
    """7, 7.0 and "7" are one number, as for Envoy."""
    message = read_into(cases.RenewClaimRequest(), f'{{"token": {written}}}'.encode())
    assert message == cases.RenewClaimRequest(token=read)


@pytest.mark.parametrize(
    "written", ["7.5", '"x"', '"7.0"', "true", "1e30", "9223372036854775808", "[7]", '"9223372036854775808"']
)
def test_fractions_and_words_are_refused(written: str) -> None:
    """The error of fractions, words and numbers beyond 64 bits names the field."""
    with pytest.raises(ValidationError) as caught:
        read_into(cases.RenewClaimRequest(), f'{{"token": {written}}}'.encode())
    assert json.loads(caught.value.json(include_context=False))[0]["loc"] == ["token"]
