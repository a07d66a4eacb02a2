"""Recording decisions: entries of the chain with their payloads, and the effect of a decision on history."""

import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, Self

import sqlalchemy as sa

from agent_server.database.prepared import Prepared
from agent_server.ledger import attempts
from agent_server.ledger.chain import SALT_BYTES, Kind, commit_to
from agent_server.ledger.queries import DECIDED
from agent_server.ledger.records import answer_of, facts_of, microseconds, payload_of
from agent_server.ledger.schema import PAYLOADS
from agent_server.ledger.transaction import LedgerTransaction, Revision
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts
from generated.vouch.v1.transaction_pb2 import Transaction

_RECORDED: Final = Prepared(DECIDED.where(PAYLOADS.c.sequence == sa.bindparam("recorded")))


@dataclass(frozen=True)
class RecordedDecision:
    """The recorded answer, and whether it was recorded before this call."""

    answer: pb.ReviewResponse
    replayed: bool = False


@dataclass(frozen=True)
class HistoryPosition:
    """An order's position in history: the number of its attempt, and those of all attempts and of all entries in the
    chain when its features were read. All are 0 for an order that is not in history.
    """

    number: int = 0
    read: int = 0
    seen: int = 0

    @classmethod
    def of(cls, facts: DecisionFacts) -> Self:
        """Return the position that an earlier decision on the order has recorded."""
        return cls(facts.memory_number, facts.memory_read, facts.memory_seen)


@dataclass(frozen=True)
class DecisionContext:
    """The circumstances of a decision: the caller, the request, the policy, and the order's position in history."""

    caller: str
    request_id: str
    policy_digest: str
    position: HistoryPosition = field(default_factory=HistoryPosition)


def find_recorded(
    tx: LedgerTransaction, transaction_id: str, digest: bytes, kind: Kind = Kind.DECISION
) -> RecordedDecision | None:
    """Return the answer that was recorded for the same content; None for none."""
    same = [known for known in tx.revisions(transaction_id, kind) if known.content_digest == digest]
    if not same:
        return None
    row = tx.send_prepared(_RECORDED, {"recorded": same[-1].sequence})()
    return RecordedDecision(answer_of(SimpleNamespace(**row)), replayed=True)


def append_decision(
    tx: LedgerTransaction, transaction: Transaction, answer: pb.ReviewResponse, digest: bytes, context: DecisionContext,
    kind: Kind = Kind.DECISION, *, hidden: bool = False,
) -> int:  # fmt: skip
    """Append a decision whose revision is set; return its sequence number.

    A `hidden` decision does not change history yet, since others could infer it from there. It does once it is
    revealed.
    """
    payload = payload_of(answer, transaction, context.request_id).SerializeToString()
    facts = facts_of(answer, context.caller, context.policy_digest)
    if context.position.number:
        position = context.position
        facts.memory_number, facts.memory_read, facts.memory_seen = position.number, position.read, position.seen
        facts.memory_kept = tx.attempts_when_recorded
        if not hidden:
            denied = answer.decision == pb.DECISION_DENY
            attempts.apply_decision(tx, transaction, context.position.number, denied=denied, again=answer.revision > 1)
    transaction_id, user_id, salt = transaction.transaction_id, transaction.user_id, os.urandom(SALT_BYTES)
    sequence = tx.append(
        kind,
        answer.decision_id,
        microseconds(answer.decided_at),
        facts.SerializeToString(),
        decision=answer.decision,
        commitment=commit_to(salt, transaction_id, user_id, digest, payload),
    )
    tx.insert(
        PAYLOADS,
        {
            "sequence": sequence, "transaction_id": transaction_id, "user_id": user_id, "content_digest": digest,
            "salt": salt, "payload": payload, "memory_number": context.position.number or None,
        },
    )  # fmt: skip
    by_person = answer.decision_maker == pb.DECISION_MAKER_HUMAN
    revision = Revision(sequence, answer.decision_id, digest, answer.revision, context.position.number, by_person)
    tx.revisions(transaction_id, kind).append(revision)
    return sequence
