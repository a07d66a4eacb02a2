"""What training records for `examples`: orders of the held-out part with their scores, nobody to be known by them."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from google.protobuf.json_format import MessageToDict

from ml_server.inputs import Numbers
from runtime.contract import FIELDS
from runtime.messages import messages

COUNT = 24
_PERSONAL = ("device_id", "ip_address", "card_bin", "user_agent")


def record(table: pa.Table, scores: Callable[[pa.Table], Numbers]) -> list[dict[str, Any]]:
    """Examples out of a table, evenly spread over it."""
    known = table.select([name for name in table.column_names if name in FIELDS])
    chosen = known.take(pa.array(range(0, known.num_rows, max(1, known.num_rows // COUNT))))
    for name in (name for name in _PERSONAL if name in chosen.column_names):
        place = chosen.column_names.index(name)
        chosen = chosen.set_column(place, name, pa.nulls(chosen.num_rows, chosen.schema.field(name).type))
    found = []
    for number, (order, score) in enumerate(zip(messages(chosen), scores(chosen).tolist(), strict=True), 1):
        order.transaction_id, order.user_id = f"example-{number}", "example"
        found.append({"transaction": MessageToDict(order, preserving_proto_field_name=True), "score": score})
    return found
