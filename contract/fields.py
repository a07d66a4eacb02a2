"""Fields of an order, read from the contract's descriptors: no list of columns or enum names is written twice."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from generated.buf.validate import validate_pb2
from generated.vouch.v1.transaction_pb2 import Transaction

LABELS: Final = ("is_abuse", "abuse_type", "abuse_confidence", "difficulty_tier")
"""Columns of files only: the ground truth of a row, which the shop did not know."""
LABEL_WEIGHT: Final = "label_weight"
"""Column of labels exported from the ledger: how many orders a row represents, without it one."""
REQUIRED: Final = ("transaction_id", "timestamp", "user_id")
EXTRAS: Final = ("extra_numbers", "extra_texts")
"""Map fields of Transaction for data outside the columns; see `contract.extras`."""

_KINDS = {
    FieldDescriptor.CPPTYPE_STRING: "text",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_INT32: "count",
    FieldDescriptor.CPPTYPE_BOOL: "flag",
    FieldDescriptor.CPPTYPE_MESSAGE: "time",
    FieldDescriptor.CPPTYPE_ENUM: "enum",
}


def enum_prefix(enum: EnumDescriptor | Any) -> str:
    """Return the common prefix of an enum's names: DEVICE_TYPE_ of DEVICE_TYPE_MOBILE."""
    return str(enum.values_by_number[0].name).removesuffix("UNSPECIFIED")


def short_names(enum: EnumDescriptor | Any) -> dict[str, int]:
    """Return an enum's numbers by the short lower-case names of files and REST: DEVICE_TYPE_MOBILE is `mobile`."""
    prefix = enum_prefix(enum)
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


@dataclass(frozen=True)
class Field:
    """A field of Transaction: `kind` is text, number, count, flag, time or enum; `numbers` are the names of an enum."""

    name: str
    kind: str
    numbers: dict[str, int]

    @cached_property
    def names(self) -> dict[int, str]:
        """Short names of an enum by number."""
        return {number: name for name, number in self.numbers.items()}


FIELDS: Final[dict[str, Field]] = {
    field.name: Field(field.name, _KINDS[field.cpp_type], short_names(field.enum_type) if field.enum_type else {})
    for field in Transaction.DESCRIPTOR.fields
    if field.name not in EXTRAS
}
"""In the order of transaction.proto, which is the column order of files."""

CARD_ID: Final = "card_id"
_CARD_FIELD: Any = Transaction.DESCRIPTOR.fields_by_name[CARD_ID]
CARD_ID_RULE: Final[str] = _CARD_FIELD.GetOptions().Extensions[validate_pb2.field].cel[0].message
"""What the contract says of a `card_id` that may be a card number."""
PSEUDONYMS: Final = ("email_id", "phone_id", "shipping_address_id")
POLICY_ONLY: Final = (
    "accounts_on_email_30d", "accounts_on_phone_30d", "accounts_on_shipping_address_30d", "automation_detected",
    "hosting_ip_detected",
)  # fmt: skip
"""Fields for policies that the agent counts or derives; the generator and the default model do without them."""
_PSEUDONYM_FIELD: Any = Transaction.DESCRIPTOR.fields_by_name[PSEUDONYMS[0]]
_PSEUDONYM = _PSEUDONYM_FIELD.GetOptions().Extensions[validate_pb2.field].cel[0]
PSEUDONYM_RULE: Final[str] = _PSEUDONYM.message
"""What the contract says of a pseudonym that may be a raw e-mail address or phone number."""
PSEUDONYM_PATTERN: Final[str] = _PSEUDONYM.expression.partition("'")[2].rpartition("'")[0]
"""Pattern of pseudonyms, in RE2's syntax."""
CARD_NUMBER: Final = "(?:^|[^0-9A-Za-z-])(?:[0-9]{12,19}|[0-9]{4}(?:[ -][0-9]{4}){3})(?:[^0-9A-Za-z-]|$)"
"""Pattern of card numbers in files, in RE2's syntax. Hashes, which may have twelve digits in a row, do not match."""
