"""The contract and the code generated from it."""

import json
import pickle
import re

import pytest

from contract.fields import EXTRAS, FIELDS, REQUIRED
from generated.vouch.v1 import (
    agent_service_pb2,
    case_service_pb2,
    error_reason_pb2,
    ledger_entry_pb2,
    privacy_service_pb2,
    scoring_service_pb2,
    transaction_pb2,
)
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from http_bridge.json.descriptions import description
from runtime.error_statuses import STATUSES, reason_name
from runtime.errors import InvalidRequest
from runtime.validation.checks import check
from testing.inputs.orders import ALL_DOCUMENTED, message
from testing.servers.processes import ROOT

SERVICES = (scoring_service_pb2, agent_service_pb2, case_service_pb2, privacy_service_pb2)


def test_messages_pickle() -> None:
    """A message survives pickling, so that it can cross processes."""
    order = message()
    assert pickle.loads(pickle.dumps(order)) == order


def test_only_three_fields_are_required() -> None:
    """Every field but the three required ones distinguishes absent from zero."""
    for field in transaction_pb2.Transaction.DESCRIPTOR.fields:
        assert field.has_presence or field.name in (*REQUIRED, *EXTRAS), field.name
    assert len(FIELDS) == 54
    assert len(ALL_DOCUMENTED) == 38


def test_every_part_is_described() -> None:
    """Every message, field, enum value and RPC of the contract has a comment for REST's docs."""
    for module in (*SERVICES, transaction_pb2, error_reason_pb2, ledger_entry_pb2):
        for entry in module.DESCRIPTOR.message_types_by_name.values():
            assert description(entry.full_name), entry.full_name
            for field in entry.fields:
                assert description(field.full_name), field.full_name
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                assert description(method.full_name), method.full_name


_REASON = re.compile(r"((?:  //[^\n]*\n)+)  ERROR_REASON_(\w+) = (\d+);")


def test_error_reasons_are_documented_as_in_the_table() -> None:
    """The comment of each reason names the table's status, and has an ErrorInfo with metadata that the table allows."""
    text = (ROOT / "protos/vouch/v1/error_reason.proto").read_text()
    documented = {name: comment for comment, name, number in _REASON.findall(text) if number != "0"}
    assert documented.keys() == {reason_name(reason) for reason in STATUSES}
    for reason, status in STATUSES.items():
        comment = documented[reason_name(reason)]
        shown = json.loads(re.findall(r'//\s+(\{"reason".*\})', comment)[0])
        assert f"Status {status.code.name}" in comment, reason_name(reason)
        assert (shown["reason"], shown["domain"]) == (reason_name(reason), "vouch")
        assert set(shown["metadata"]) <= set(status.metadata), reason_name(reason)
    assert ErrorReason.values() == [0, *STATUSES]


def test_a_good_order_passes() -> None:
    """The documented order is valid."""
    check(scoring_service_pb2.PredictRequest(transaction=message()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", ""),
        ("user_id", "x" * 129),
        ("order_amount", float("nan")),
        ("order_amount", float("inf")),
        ("order_amount", 0.0),
        ("order_amount", -1.0),
        ("account_age_days", -1),
        ("failed_login_attempts_24h", -1),
        ("currency", "eur"),
        ("ip_country", "USA"),
        ("card_bin", "12345"),
        ("device_type", 0),
        ("device_type", 99),
        ("email_domain", ""),
    ],
)
def test_rules_name_the_field(field: str, value: object) -> None:
    """A field that breaks its rule is refused by name."""
    with pytest.raises(InvalidRequest) as caught:
        check(scoring_service_pb2.PredictRequest(transaction=message(**{field: value})))
    assert next(name for name, _ in caught.value.violations) == f"transaction.{field}"


def test_a_missing_timestamp_is_refused() -> None:
    """The time of the order is required."""
    order = message()
    order.ClearField("timestamp")
    with pytest.raises(InvalidRequest, match=r"transaction\.timestamp"):
        check(scoring_service_pb2.PredictRequest(transaction=order))
