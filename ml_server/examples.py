"""Recorded examples: orders with the score that training gave them, to check a model before it serves.

Training scores them by the booster; serving must come to the same by its own way, from the message on. They stand in the
model's folder, so they hold nothing that could name a person: who, where from and with what card is left out.
"""

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import ArtifactError, Model
from ml_server.inputs import Numbers
from ml_server.scorer import Scorer
from runtime.contract import FIELDS
from runtime.messages import messages

COUNT = 24
_PERSONAL = ("device_id", "ip_address", "card_bin", "user_agent")
_CLOSE = 1e-9


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


def check(model: Model) -> None:
    """Score the model's examples; raise ArtifactError where one comes out otherwise than in training."""
    scorer = Scorer(model)
    if not model.examples:
        raise ArtifactError(f"model {model.version} has no recorded examples: train again")
    for number, example in enumerate(model.examples, 1):
        try:
            order, wanted = ParseDict(example["transaction"], Transaction()), float(example["score"])
        except (KeyError, TypeError, ValueError, ParseError) as error:
            raise ArtifactError(f"model {model.version}: example {number} cannot be read: train again") from error
        found = scorer.predict(order).legitimacy_score
        if not math.isclose(found, wanted, abs_tol=_CLOSE):
            raise ArtifactError(
                f"model {model.version} gives example {number} the score {found:.9f}, training gave {wanted:.9f}: "
                "the model and this software do not belong together, train again"
            )
