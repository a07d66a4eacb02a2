"""The contract, read from its own descriptors, so that no list of columns or enum names is written twice."""

from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from generated.vouch.v1 import transaction_pb2

LABELS: Final = ("is_abuse", "abuse_type", "abuse_confidence", "difficulty_tier")
ABUSE_TYPES: Final = ("fake_account", "account_takeover", "payment_fraud")
REQUIRED: Final = ("transaction_id", "timestamp", "user_id")

_KINDS = {
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_INT32: "count",
    FieldDescriptor.CPPTYPE_BOOL: "flag",
    FieldDescriptor.CPPTYPE_MESSAGE: "time",
    FieldDescriptor.CPPTYPE_ENUM: "name",
}


def short_names(enum: EnumDescriptor | Any) -> dict[str, int]:
    """Numbers of an enum by the short lower-case names of files and REST: DEVICE_TYPE_MOBILE is `mobile`."""
    prefix = len(enum.values_by_number[0].name) - len("UNSPECIFIED")
    return {value.name[prefix:].lower(): value.number for value in enum.values if value.number}


@dataclass(frozen=True)
class Field:
    """A field of Transaction: its kind is text, number, count, flag, time, or name (an enum, with its short names)."""

    name: str
    kind: str
    names: dict[str, int]


FIELDS: Final[dict[str, Field]] = {
    field.name: Field(field.name, _KINDS[field.cpp_type], short_names(field.enum_type) if field.enum_type else {})
    for field in transaction_pb2.Transaction.DESCRIPTOR.fields
}
