"""The fields of an order, read from the contract's own descriptors: no list of columns or enum names is written twice."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from generated.vouch.v1.transaction_pb2 import Transaction

LABELS: Final = ("is_abuse", "abuse_type", "abuse_confidence", "difficulty_tier")
"""Columns that stand in files only: what a row was, not what the shop knew."""
LABEL_WEIGHT: Final = "label_weight"
"""Column of labels out of the ledger: how many orders a row stands for. Files without it count each row once."""
REQUIRED: Final = ("transaction_id", "timestamp", "user_id")
EXTRAS: Final = ("extra_numbers", "extra_texts")
"""Fields of Transaction that hold what a shop knows beside the columns; see `contract.extras`."""

_KINDS = {
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_INT32: "count",
    FieldDescriptor.CPPTYPE_BOOL: "flag",
    FieldDescriptor.CPPTYPE_MESSAGE: "time",
    FieldDescriptor.CPPTYPE_ENUM: "enum",
}


def enum_prefix(enum: EnumDescriptor | Any) -> str:
    """What all names of an enum begin with: DEVICE_TYPE_ of DEVICE_TYPE_MOBILE."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def short_names(enum: EnumDescriptor | Any) -> dict[str, int]:
    """Numbers of an enum by the short lower-case names of files and REST: DEVICE_TYPE_MOBILE is `mobile`."""
    prefix = enum_prefix(enum)
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


@dataclass(frozen=True)
class Field:
    """A field of Transaction: its kind is text, number, count, flag, time or enum; `numbers` are an enum's by short name."""

    name: str
    kind: str
    numbers: dict[str, int]

    @cached_property
    def names(self) -> dict[int, str]:
        """An enum's short names by number."""
        return {number: name for name, number in self.numbers.items()}


FIELDS: Final[dict[str, Field]] = {
    field.name: Field(field.name, _KINDS[field.cpp_type], short_names(field.enum_type) if field.enum_type else {})
    for field in Transaction.DESCRIPTOR.fields
    if field.name not in EXTRAS
}
"""In the order of transaction.proto, which is the order of columns in files."""
