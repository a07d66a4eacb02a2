"""What would have an order approved: the smallest changes of what somebody can still settle. Pure.

Each change is tried on the order itself and scored by the model, so a stated score is the one that the changed order gets.
Changes of one thing come first, then of two where neither alone is enough; more than two nobody would ask of a customer.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_server.decisions.policy import Policy
from contract.fields import FIELDS
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import (
    AvsResult,
    CvvCheckResult,
    PaymentMethod,
    ThreeDsResult,
    Transaction,
)

MOST_TOLD: Final = 5
_WITHOUT_CARD = (PaymentMethod.PAYMENT_METHOD_PAYPAL, PaymentMethod.PAYMENT_METHOD_CRYPTO)
_Settled = Callable[[Transaction], dict[str, Any]]


def _set(**values: Any) -> _Settled:
    return lambda order: values


def _by_card(**values: Any) -> _Settled:
    return lambda order: {} if order.payment_method in _WITHOUT_CARD else values


def _ship_to_billing(order: Transaction) -> dict[str, Any]:
    country = {"shipping_country": order.billing_country} if order.HasField("billing_country") else {}
    return {"billing_shipping_match": True} | country


_SETTLED: Final[Sequence[tuple[str, _Settled]]] = (
    ("the phone is verified", _set(phone_verified=True)),
    ("the mail address is verified", _set(email_verified=True)),
    (
        "3-D Secure is authenticated",
        _by_card(three_ds_result=ThreeDsResult.THREE_DS_RESULT_AUTHENTICATED),
    ),
    ("the card's code is right", _by_card(cvv_check_result=CvvCheckResult.CVV_CHECK_RESULT_PASS)),
    ("the card's address matches", _by_card(avs_result=AvsResult.AVS_RESULT_FULL_MATCH)),
    ("it is shipped to the billing address", _ship_to_billing),
)
"""What can be settled after an order came, in words, and what the order would say then."""


@dataclass(frozen=True)
class Variant:
    """An order with other values; `parts` are the numbers of what was settled."""

    order: Transaction
    parts: frozenset[int]
    changes: tuple[pb.FieldChange, ...]


def variants(order: Transaction) -> list[Variant]:
    """The order with one thing settled, then with two: all that differ from it."""
    possible = [
        (part, values) for part, (_, settle) in enumerate(_SETTLED) if (values := _changed(order, settle(order)))
    ]
    singles: Iterator[Any] = ((one,) for one in possible)
    return [_variant(order, chosen) for chosen in itertools.chain(singles, itertools.combinations(possible, 2))]


def smallest(
    policy: Policy,
    answer: pb.ReviewResponse,
    changed: Sequence[Variant],
    predictions: Sequence[PredictResponse | None],
    at: int,
) -> list[pb.Counterfactual]:
    """The variants that the policy approves at a moment and of which no part alone is approved; best score first."""
    enough: list[frozenset[int]] = []
    told: list[pb.Counterfactual] = []
    for variant, prediction in zip(changed, predictions, strict=True):
        if prediction is None or any(parts < variant.parts for parts in enough):
            continue
        if prediction.legitimacy_score < policy.min_approving_score:
            continue
        if policy.evaluate(variant.order, prediction, at).decision != pb.DECISION_APPROVE:
            continue
        enough.append(variant.parts)
        score = prediction.legitimacy_score
        what = " and ".join(_SETTLED[part][0] for part in sorted(variant.parts))
        told.append(
            pb.Counterfactual(
                changes=variant.changes,
                legitimacy_score=score,
                sentence=f"approve if {what} ({answer.legitimacy_score:.2f} -> {score:.2f})",
            )
        )
    sizes = [len(parts) for parts in enough]
    ranked = sorted(zip(sizes, told, strict=True), key=lambda sized: (sized[0], -sized[1].legitimacy_score))
    return [counterfactual for _, counterfactual in ranked[:MOST_TOLD]]


def _changed(order: Transaction, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that the order does not have."""
    return {name: value for name, value in values.items() if not order.HasField(name) or getattr(order, name) != value}


def _variant(order: Transaction, chosen: Sequence[tuple[int, dict[str, Any]]]) -> Variant:
    other = Transaction()
    other.CopyFrom(order)
    changes = []
    for _, values in chosen:
        for name, value in values.items():
            changes.append(pb.FieldChange(field=name, from_value=_text(order, name), to_value=_written(name, value)))
            setattr(other, name, value)
    return Variant(other, frozenset(part for part, _ in chosen), tuple(changes))


def _text(order: Transaction, name: str) -> str:
    return _written(name, getattr(order, name)) if order.HasField(name) else ""


def _written(name: str, value: Any) -> str:
    """A value as files write it."""
    field = FIELDS[name]
    if field.kind == "enum":
        return field.names.get(value, "")
    return str(value).lower() if field.kind == "flag" else str(value)
