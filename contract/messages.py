"""Conversion of table rows to messages and back. Columns that are not fields are extras of their type."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from contract.extras import MAX_TEXT_LENGTH, is_name
from contract.fields import FIELDS, LABEL_WEIGHT, LABELS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction

if TYPE_CHECKING:
    import pyarrow as pa


def messages(table: "pa.Table") -> Iterator[Transaction]:
    """Yield one Transaction for each row of a table read by `tables`; absent values stay absent."""
    used = [
        name for name in table.column_names if name in FIELDS or (name not in (*LABELS, LABEL_WEIGHT) and is_name(name))
    ]
    for row in table.select(used).to_pylist():
        order = Transaction()
        for name, value in row.items():
            if value is None:
                continue
            if name not in FIELDS:
                _add_extra(order, name, value)
                continue
            field = FIELDS[name]
            if field.kind == "time":
                getattr(order, name).FromDatetime(value)
            elif field.kind == "enum":
                setattr(order, name, field.numbers[value])
            else:
                setattr(order, name, int(value) if field.kind == "count" else value)
        yield order


def _add_extra(order: Transaction, name: str, value: Any) -> None:
    if isinstance(value, str):
        if len(value) <= MAX_TEXT_LENGTH:
            order.extra_texts[name] = value
    elif isinstance(value, int | float) and math.isfinite(value):
        order.extra_numbers[name] = value


def row_of(order: Transaction) -> dict[str, Any]:
    """Return a message as a table row, the inverse of `messages`: fields first (None if absent), then extras."""
    row: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value: Any = getattr(order, name)
        if name not in REQUIRED and not order.HasField(name):
            row[name] = None
        elif field.kind == "time":
            row[name] = value.ToDatetime()
        elif field.kind == "enum":
            row[name] = field.names.get(value)
        else:
            row[name] = value
    extras = [*order.extra_numbers.items(), *order.extra_texts.items()]
    return row | {name: value for name, value in extras if name not in FIELDS}  # an extra may have the name of a field
