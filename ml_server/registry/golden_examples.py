"""Golden examples: orders with the score that training gave them, to check a model before it serves.

Training scores them by the booster; serving must come to the same by its own way, from the message on. They stand in the
model's folder, so they hold nothing that could name a person: who, where from and with what card is left out, and so are mail
domains that are not public ones.
"""

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from contract.texts import mail_domain
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.text_scores import PRIVATE, mail_kind
from ml_server.registry.bundle import ArtifactError, Bundle

COUNT = 24
PERSONAL = ("device_id", "ip_address", "card_bin", "card_id", "user_agent")
_CLOSE = 1e-9


def anonymous(order: Transaction, number: int) -> Transaction:
    """An order that nobody is to be known by."""
    for name in PERSONAL:
        order.ClearField(name)
    if order.HasField("email_domain") and mail_kind(mail_domain(order.email_domain)) == PRIVATE:
        order.ClearField("email_domain")
    order.extra_texts.clear()  # nobody knows what they hold
    for name, value in order.extra_numbers.items():
        order.extra_numbers[name] = float(f"{value:.2g}")  # an account's number, so rounded, is nobody's
    order.transaction_id, order.user_id = f"example-{number}", "example"
    return order


def golden_example(order: Transaction, score: float) -> dict[str, Any]:
    """An order and its score as a model's folder keeps them."""
    return {"transaction": MessageToDict(order, preserving_proto_field_name=True), "score": score}


def parsed(example: Any) -> tuple[Transaction, float]:
    """The order and its score. Raises KeyError, TypeError, ValueError or ParseError where it is none."""
    return ParseDict(example["transaction"], Transaction()), float(example["score"])


def check(bundle: Bundle, score: Callable[[Transaction], float]) -> None:
    """Score a model's golden examples; raise ArtifactError where one comes out otherwise than in training."""
    if not bundle.golden_examples:
        raise ArtifactError(f"model {bundle.version} has no golden examples: train again")
    for number, example in enumerate(bundle.golden_examples, 1):
        try:
            order, wanted = parsed(example)
        except (KeyError, TypeError, ValueError, ParseError) as error:
            raise ArtifactError(f"model {bundle.version}: example {number} cannot be read: train again") from error
        given = score(order)
        if not math.isclose(given, wanted, abs_tol=_CLOSE):
            raise ArtifactError(
                f"model {bundle.version} gives example {number} the score {given:.9f}, training gave {wanted:.9f}: "
                "the model and this software do not belong together, train again"
            )
