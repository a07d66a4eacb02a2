"""Counterfactuals: the smallest changes, of what can still be settled after an order, that would get it approved. Pure.

Each change is applied to the order and scored by the model, so the stated score is exact. Single changes come first,
then pairs if neither change alone is enough. More than two changes are too much to ask of a customer.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent_server.decisions.completion import counts_from_proto
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

MAX_COUNTERFACTUALS: Final = 5
_WITHOUT_CARD = (PaymentMethod.PAYMENT_METHOD_PAYPAL, PaymentMethod.PAYMENT_METHOD_CRYPTO)
_Change = Callable[[Transaction], dict[str, Any]]


def _change(**values: Any) -> _Change:
    return lambda order: values


def _card_change(**values: Any) -> _Change:
    return lambda order: {} if order.payment_method in _WITHOUT_CARD else values


def _ship_to_billing(order: Transaction) -> dict[str, Any]:
    country = {"shipping_country": order.billing_country} if order.HasField("billing_country") else {}
    return {"billing_shipping_match": True} | country


_CHANGES: Final[Sequence[tuple[str, _Change]]] = (
    ("the phone is verified", _change(phone_verified=True)),
    ("the mail address is verified", _change(email_verified=True)),
    (
        "3-D Secure is authenticated",
        _card_change(three_ds_result=ThreeDsResult.THREE_DS_RESULT_AUTHENTICATED),
    ),
    ("the card's code is right", _card_change(cvv_check_result=CvvCheckResult.CVV_CHECK_RESULT_PASS)),
    ("the card's address matches", _card_change(avs_result=AvsResult.AVS_RESULT_FULL_MATCH)),
    ("it is shipped to the billing address", _ship_to_billing),
)
"""What can be settled after an order was placed, in words, and the fields that this would set."""


@dataclass(frozen=True)
class CandidateChange:
    """An order with changed fields; `parts` are indices into `_CHANGES`."""

    order: Transaction
    parts: frozenset[int]
    changes: tuple[pb.FieldChange, ...]


def candidate_changes(order: Transaction) -> list[CandidateChange]:
    """Return the order with each single change, then with each pair of changes; changes without effect are left out."""
    applicable = [
        (part, values)
        for part, (_, change) in enumerate(_CHANGES)
        if (values := _differing_values(order, change(order)))
    ]
    singles: Iterator[Any] = ((one,) for one in applicable)
    return [_apply(order, chosen) for chosen in itertools.chain(singles, itertools.combinations(applicable, 2))]


def smallest_changes(
    policy: Policy,
    answer: pb.ReviewResponse,
    candidates: Sequence[CandidateChange],
    predictions: Sequence[PredictResponse | None],
    at: int,
) -> list[pb.Counterfactual]:
    """Return the candidates that the policy approves, without those of which a part alone is approved.

    Fewest changes come first, then the best score. `at` is the time in microseconds since 1970. `predictions` are those
    of the candidates, in the same order.
    """
    approved: list[frozenset[int]] = []
    counterfactuals: list[pb.Counterfactual] = []
    counts = counts_from_proto(answer.history_counts)
    for candidate, prediction in zip(candidates, predictions, strict=True):
        if prediction is None or any(parts < candidate.parts for parts in approved):
            continue
        if prediction.legitimacy_score < policy.min_approving_score:
            continue
        if policy.evaluate(candidate.order, prediction, at, counts=counts).decision != pb.DECISION_APPROVE:
            continue
        approved.append(candidate.parts)
        score = prediction.legitimacy_score
        what = " and ".join(_CHANGES[part][0] for part in sorted(candidate.parts))
        counterfactuals.append(
            pb.Counterfactual(
                changes=candidate.changes,
                legitimacy_score=score,
                sentence=f"approve if {what} ({answer.legitimacy_score:.2f} -> {score:.2f})",
            )
        )
    sizes = [len(parts) for parts in approved]
    ranked = sorted(zip(sizes, counterfactuals, strict=True), key=lambda sized: (sized[0], -sized[1].legitimacy_score))
    return [counterfactual for _, counterfactual in ranked[:MAX_COUNTERFACTUALS]]


def _differing_values(order: Transaction, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that differ from those of the order."""
    return {name: value for name, value in values.items() if not order.HasField(name) or getattr(order, name) != value}


def _apply(order: Transaction, chosen: Sequence[tuple[int, dict[str, Any]]]) -> CandidateChange:
    other = Transaction()
    other.CopyFrom(order)
    changes = []
    for _, values in chosen:
        for name, value in values.items():
            changes.append(
                pb.FieldChange(field=name, from_value=_current_text(order, name), to_value=_to_text(name, value))
            )
            setattr(other, name, value)
    return CandidateChange(other, frozenset(part for part, _ in chosen), tuple(changes))


def _current_text(order: Transaction, name: str) -> str:
    return _to_text(name, getattr(order, name)) if order.HasField(name) else ""


def _to_text(name: str, value: Any) -> str:
    """Return a value as it is written in CSV files."""
    field = FIELDS[name]
    if field.kind == "enum":
        return field.names.get(value, "")
    return str(value).lower() if field.kind == "flag" else str(value)
