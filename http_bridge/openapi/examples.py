"""Examples of the OpenAPI documents. Responses are messages, so that they have the fields of the contract."""

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from contract.examples import DOCUMENTED_ORDER
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as scoring
from http_bridge.json.mapping import to_rest

_TOKEN: Final = {"token": 7}
REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "ClaimNextRequest": {},
    "ClaimCaseRequest": {},
    "RenewClaimRequest": _TOKEN,
    "ReleaseCaseRequest": _TOKEN,
    "ResolveCaseRequest": _TOKEN
    | {"verdict": "deny", "abuse_type": "payment_fraud", "note": "the card was reported stolen"},
    "CommentCaseRequest": {"text": "asked the customer for an invoice"},
    "ReportOutcomeRequest": {
        "transaction_id": "test-001",
        "kind": "chargeback",
        "occurred_at": "2025-03-20T08:00:00Z",
        "source": "processor",
        "abuse_type": "payment_fraud",
    },
}
"""Bodies of requests by message, without the fields of the path."""
_ID: Final = DOCUMENTED_ORDER["transaction_id"]
_REASON: Final = scoring.Reason(
    feature="disposable_domain", field="email_domain", value="tempmail.net", contribution=-1.62,
    group=scoring.FEATURE_GROUP_ACCOUNT, sentence="e-mail domain tempmail.net is a disposable one",
)  # fmt: skip
_PREDICTION: Final = scoring.PredictResponse(
    transaction_id=_ID, legitimacy_score=0.142, prediction=scoring.PREDICTION_FRAUD, confidence=0.858,
    model_version="20260301-100000", reasons=[_REASON],
    abuse_type_scores=scoring.AbuseTypeScores(fake_account=0.61, account_takeover=0.05, payment_fraud=0.198),
)  # fmt: skip
_REVIEW: Final = agent.ReviewResponse(
    transaction_id=_ID, decision=agent.DECISION_DENY, legitimacy_score=0.142, decision_maker=agent.DECISION_MAKER_ML_MODEL,
    reasoning="Legitimacy 0.142 is at or below the denial threshold 0.4.", reasons=[_REASON],
    policy_version="approve>=0.7,deny<=0.4,evidence>=4", decision_id="5d8f4fbfc6304467f787384ac020e1c0",
    decided_at=Timestamp(seconds=1_739_268_000), revision=1,
)  # fmt: skip
EVENT: Final = "id: 12\nevent: opened\ndata: {...}\n\n"
"""A server-sent event; its data is a case."""


def add_response_examples(document: dict[str, Any], schemas: str) -> None:
    """Add the examples of responses. FastAPI would remove their nulls, so they are added to its document.

    `schemas` is the beginning of references to schemas.
    """
    examples = {f"{schemas}{one.DESCRIPTOR.name}": to_rest(one) for one in (_PREDICTION, _REVIEW)}
    for operations in document["paths"].values():
        for operation in operations.values():
            content = operation["responses"]["200"]["content"].get("application/json", {"schema": {}})
            if (reference := content["schema"].get("$ref")) in examples:
                content["example"] = examples[reference]
