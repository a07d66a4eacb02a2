"""Rows of a table as messages."""

from collections.abc import Iterator

import pyarrow as pa

from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.contract import FIELDS


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
            elif field.kind == "name":
                setattr(order, name, field.names[value])
            else:
                setattr(order, name, int(value) if field.kind == "count" else value)
        yield order
