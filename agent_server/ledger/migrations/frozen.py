"""What migrations compute, unchanged since they were written.

These are copies on purpose. If a migration called the program's own functions, it would write something else whenever they
change, and two ledgers of one revision would differ. Add to this file, and never change it.
"""

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts, DecisionPayload
from generated.vouch.v1.transaction_pb2 import Transaction

GENESIS: Final = bytes(32)
SALT_BYTES: Final = 16
DECISION: Final = 1
"""The kind of an entry that holds a decision."""
_NUMBERS = struct.Struct(">qhqhII")
_LENGTHS = struct.Struct(">IIII")
_OF_FACTS = (
    "transaction_id", "decision", "legitimacy_score", "decision_maker", "policy_version", "decision_id", "decided_at",
    "revision", "replaces_decision_id", "degraded", "randomised_probability", "completed_fields",
)  # fmt: skip
_PATIENCE, _DUE = 6 * 3600 * 1_000_000, 24 * 3600 * 1_000_000


def entry_hash(
    before: bytes, sequence: int, kind: int, entry_id: str, at: int, decision: int, facts: bytes, commitment: bytes
) -> bytes:
    """Return the hash of an entry (0002)."""
    name = entry_id.encode()
    numbers = _NUMBERS.pack(sequence, kind, at, decision, len(name), len(facts))
    return hashlib.sha256(b"".join((before, numbers, name, facts, commitment))).digest()


def commit_to(salt: bytes, transaction_id: str, user_id: str, content_digest: bytes, payload: bytes) -> bytes:
    """Return the commitment to a payload (0002)."""
    transaction, user = transaction_id.encode(), user_id.encode()
    lengths = _LENGTHS.pack(len(salt), len(transaction), len(user), len(content_digest))
    return hashlib.sha256(b"".join((salt, lengths, transaction, user, content_digest, payload))).digest()


def content_digest(transaction: Transaction) -> bytes:
    """Return the digest of an order's content (0002)."""
    return hashlib.sha256(transaction.SerializeToString(deterministic=True)).digest()


def microseconds(moment: Timestamp) -> int:
    """Return microseconds since 1970 (0002)."""
    return moment.seconds * 1_000_000 + moment.nanos // 1000


def facts_of(answer: pb.ReviewResponse) -> DecisionFacts:
    """Return the facts of a decision of version 0.1 (0002)."""
    return DecisionFacts(
        decision_maker=answer.decision_maker,
        legitimacy_score=answer.legitimacy_score if answer.HasField("legitimacy_score") else None,
        revision=answer.revision,
        replaces_decision_id=answer.replaces_decision_id,
        model_version=answer.ml_prediction.model_version,
        policy_version=answer.policy_version,
    )


def payload_of(answer: pb.ReviewResponse, transaction: Transaction) -> DecisionPayload:
    """Return the payload of a decision of version 0.1 (0002)."""
    payload = DecisionPayload(transaction=transaction, completed_fields=answer.completed_fields, answer=answer)
    for name in _OF_FACTS:
        payload.answer.ClearField(name)
    payload.transaction.ClearField("transaction_id")
    payload.transaction.ClearField("user_id")
    return payload


def expected_loss(transaction: Transaction, score: float | None) -> float:
    """Return what approving an order would lose on average (0003)."""
    return (1.0 if score is None else 1 - score) * transaction.order_amount


def urgency(opened_at: int, loss: float) -> int:
    """Return the place of a case in the queue (0003)."""
    return opened_at - round(_PATIENCE * math.log1p(max(loss, 0.0)))


def due_at(opened_at: int) -> int:
    """Return when a case should be resolved, in microseconds since 1970 (0003)."""
    return opened_at + _DUE


def row_commitment(table: str, salt: bytes, values: Mapping[str, Any]) -> bytes:
    """Return the commitment to a row, given those of its values that differ from their defaults (0008)."""
    content = json.dumps(dict(values), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(b"%b%b\0%b" % (salt, table.encode(), content.encode())).digest()


def link_hash(before: bytes, number: int, content: bytes) -> bytes:
    """Return the hash of a link of the chain of rows (0008)."""
    return hashlib.sha256(b"".join((before, struct.pack(">q", number), content))).digest()
