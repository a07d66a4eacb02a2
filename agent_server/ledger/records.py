"""How the ledger stores decisions: facts that stay, and a payload that can be erased. Nothing is stored twice."""

import hashlib
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts, DecisionPayload
from generated.vouch.v1.transaction_pb2 import Transaction

_MICROSECONDS, _NANOS = 1_000_000, 1000
_OF_FACTS = (
    "transaction_id", "decision", "legitimacy_score", "decision_maker", "policy_version", "decision_id", "decided_at",
    "revision", "replaces_decision_id", "degraded", "randomised_probability",
)  # fmt: skip


def content_digest(transaction: Transaction) -> bytes:
    """Return the SHA-256 of an order's content. A repeated request has the same one."""
    return hashlib.sha256(transaction.SerializeToString(deterministic=True)).digest()


def microseconds(moment: Timestamp) -> int:
    """Return microseconds since 1970."""
    return moment.seconds * _MICROSECONDS + moment.nanos // _NANOS


def timestamp(at: int) -> Timestamp:
    """Return the time, given in microseconds since 1970."""
    return Timestamp(seconds=at // _MICROSECONDS, nanos=at % _MICROSECONDS * _NANOS)


def facts_of(answer: pb.ReviewResponse, caller: str, policy_digest: str) -> DecisionFacts:
    """Return the facts of a decision, which stay when the person is erased."""
    return DecisionFacts(
        decision_maker=answer.decision_maker,
        legitimacy_score=answer.legitimacy_score if answer.HasField("legitimacy_score") else None,
        revision=answer.revision,
        replaces_decision_id=answer.replaces_decision_id,
        caller=caller,
        model_version=answer.ml_prediction.model_version,
        policy_version=answer.policy_version,
        policy_digest=policy_digest,
        randomised_probability=probability_of(answer),
    )


def probability_of(decided: pb.ReviewResponse | DecisionFacts) -> float | None:
    """Return the probability with which an order was approved at random; None if it was not."""
    return decided.randomised_probability if decided.HasField("randomised_probability") else None


def payload_of(answer: pb.ReviewResponse, transaction: Transaction, request_id: str) -> DecisionPayload:
    """Return the personal part of a decision, without what facts and columns hold."""
    payload = DecisionPayload(
        transaction=transaction, completed_fields=answer.completed_fields, answer=answer, request_id=request_id
    )
    for name in (*_OF_FACTS, "completed_fields"):
        payload.answer.ClearField(name)
    payload.transaction.ClearField("transaction_id")
    payload.transaction.ClearField("user_id")
    return payload


def answer_of(row: Any) -> pb.ReviewResponse:
    """Return the answer as the caller got it, from a row of entries and payloads."""
    return _answer(row, DecisionFacts.FromString(row.facts), DecisionPayload.FromString(row.payload))


def _answer(row: Any, facts: DecisionFacts, payload: DecisionPayload) -> pb.ReviewResponse:
    answer = payload.answer
    answer.transaction_id, answer.decision, answer.decision_id = row.transaction_id, row.decision, row.entry_id
    answer.decision_maker, answer.policy_version = facts.decision_maker, facts.policy_version
    answer.revision, answer.replaces_decision_id = facts.revision, facts.replaces_decision_id
    answer.decided_at.CopyFrom(timestamp(row.at))
    answer.degraded = not facts.HasField("legitimacy_score")
    if not answer.degraded:
        answer.legitimacy_score = facts.legitimacy_score
    if facts.HasField("randomised_probability"):
        answer.randomised_probability = facts.randomised_probability
    answer.completed_fields.extend(payload.completed_fields)
    return answer


def record_of(row: Any) -> pb.DecisionRecord:
    """Return the complete record, from a row of entries and, unless it was erased, of payloads."""
    facts = DecisionFacts.FromString(row.facts)
    scored = facts.HasField("legitimacy_score")
    record = pb.DecisionRecord(
        sequence=row.sequence,
        decision_id=row.entry_id,
        decided_at=timestamp(row.at),
        decision=row.decision,
        decision_maker=facts.decision_maker,
        legitimacy_score=facts.legitimacy_score if scored else None,
        degraded=not scored,
        revision=facts.revision,
        replaces_decision_id=facts.replaces_decision_id,
        caller=facts.caller,
        model_version=facts.model_version,
        policy_version=facts.policy_version,
        policy_digest=facts.policy_digest,
        erased=row.payload is None,
        randomised_probability=probability_of(facts),
    )
    if row.payload is not None:
        payload = DecisionPayload.FromString(row.payload)
        payload.transaction.transaction_id, payload.transaction.user_id = row.transaction_id, row.user_id
        record.transaction_id, record.request_id = row.transaction_id, payload.request_id
        record.transaction.CopyFrom(payload.transaction)
        record.completed_fields.extend(payload.completed_fields)
        record.answer.CopyFrom(_answer(row, facts, payload))
    return record


def order_of(row: Any) -> Transaction:
    """Return the order as the shop sent it, from a row with a payload."""
    order = DecisionPayload.FromString(row.payload).transaction
    order.transaction_id, order.user_id = row.transaction_id, row.user_id
    return order
