"""Rows of a table as messages, and messages as rows: columns that are no field are extras, numbers or texts by their type."""

import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from contract.extras import LONGEST, is_name
from contract.fields import FIELDS, LABEL_WEIGHT, LABELS, REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction


def messages(table: pa.Table) -> Iterator[Transaction]:
    """One Transaction for each row of a table as `tables` reads it; absent values stay absent."""
    kept = [
        name for name in table.column_names if name in FIELDS or (name not in (*LABELS, LABEL_WEIGHT) and is_name(name))
    ]
    for row in table.select(kept).to_pylist():
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
        if len(value) <= LONGEST:
            order.extra_texts[name] = value
    elif isinstance(value, int | float) and math.isfinite(value):
        order.extra_numbers[name] = value


def row_of(order: Transaction) -> dict[str, Any]:
    """A message as a row of a file, as `messages` reads it: None where a field is absent. Its fields, then its extras."""
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
    return row | {name: value for name, value in extras if name not in FIELDS}  # an extra may have a field's name
