"""Recorded examples: orders with the score that training gave them, to check a model before it serves.

Training scores them by the booster; serving must come to the same by its own way, from the message on. They stand in the
model's folder, so they hold nothing that could name a person: who, where from and with what card is left out.
"""

import math

from google.protobuf.json_format import ParseDict, ParseError

from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import ArtifactError, Model
from ml_server.scorer import Scorer

_CLOSE = 1e-9


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
