"""Rows of a table as messages."""

from collections.abc import Iterator

import pyarrow as pa

from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.contract import FIELDS


def messages(table: pa.Table) -> Iterator[Transaction]:
    """One message for each row; absent values stay absent."""
    for row in table.select([name for name in table.column_names if name in FIELDS]).to_pylist():
        order = Transaction()
        for name, value in row.items():
            field = FIELDS[name]
            if value is None:
                continue
            if field.kind == "time":
                getattr(order, name).FromDatetime(value)
            else:
                converted = (
                    field.names[value] if field.kind == "name" else int(value) if field.kind == "count" else value
                )
                setattr(order, name, converted)
        yield order
