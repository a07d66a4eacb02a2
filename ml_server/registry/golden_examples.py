"""Golden examples: orders with their score in training, to check a model before it serves.

Training scores them with the booster; serving must compute the same scores from the messages by its own code. They are
part of the model's folder, so they contain no personal data: user, device, address and card are removed, and so are
mail domains that are not public.
"""

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from contract.fields import PSEUDONYMS
from contract.texts import mail_domain
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.text_scores import PRIVATE, mail_kind
from ml_server.registry.bundle import ArtifactError, Bundle

COUNT = 24
PERSONAL = ("device_id", "ip_address", "card_bin", "card_id", "user_agent", *PSEUDONYMS)
_CLOSE = 1e-9


def anonymise(order: Transaction, number: int) -> Transaction:
    """Remove personal data from an order, and return it."""
    for name in PERSONAL:
        order.ClearField(name)
    if order.HasField("email_domain") and mail_kind(mail_domain(order.email_domain)) == PRIVATE:
        order.ClearField("email_domain")
    order.extra_texts.clear()  # may contain anything
    for name, value in order.extra_numbers.items():
        order.extra_numbers[name] = float(f"{value:.2g}")  # rounded, so that an account number identifies nobody
    order.transaction_id, order.user_id = f"example-{number}", "example"
    return order


def golden_example(order: Transaction, score: float) -> dict[str, Any]:
    """Return an order and its score in the format of a model's folder."""
    return {"transaction": MessageToDict(order, preserving_proto_field_name=True), "score": score}


def parse_example(example: Any) -> tuple[Transaction, float]:
    """Return the order and its score. Raises KeyError, TypeError, ValueError or ParseError if it is invalid."""
    return ParseDict(example["transaction"], Transaction()), float(example["score"])


def check(bundle: Bundle, score: Callable[[Transaction], float]) -> None:
    """Score a model's golden examples; raise ArtifactError if a score differs from training."""
    if not bundle.golden_examples:
        raise ArtifactError(f"model {bundle.version} has no golden examples; train again")
    for number, example in enumerate(bundle.golden_examples, 1):
        try:
            order, expected = parse_example(example)
        except (KeyError, TypeError, ValueError, ParseError) as error:
            raise ArtifactError(f"model {bundle.version}: cannot read example {number}; train again") from error
        given = score(order)
        if not math.isclose(given, expected, abs_tol=_CLOSE):
            raise ArtifactError(
                f"model {bundle.version} gives example {number} the score {given:.9f}, but training gave {expected:.9f}: "
                "the model does not match this software; train again"
            )
