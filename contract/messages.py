"""Rows of a table as messages."""

from collections.abc import Iterator

import pyarrow as pa

from contract.fields import FIELDS
from generated.vouch.v1.transaction_pb2 import Transaction


def messages(table: pa.Table) -> Iterator[Transaction]:
    """One Transaction for each row of a table as `tables` reads it; absent values stay absent."""
    for row in table.select([name for name in table.column_names if name in FIELDS]).to_pylist():
        order = Transaction()
        for name, value in row.items():
            field = FIELDS[name]
            if value is None:
                continue
            if field.kind == "time":
                getattr(order, name).FromDatetime(value)
            elif field.kind == "enum":
                setattr(order, name, field.numbers[value])
            else:
                setattr(order, name, int(value) if field.kind == "count" else value)
        yield order
