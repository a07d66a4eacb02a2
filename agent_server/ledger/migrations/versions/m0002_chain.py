"""The chain: entries, payloads, a signed head; decisions and cases of version 0.1 are carried over."""

import os
from collections import Counter
from typing import Any

import sqlalchemy as sa
from alembic import op

from agent_server.ledger.migrations.frozen import (
    DECISION,
    GENESIS,
    SALT_BYTES,
    commit_to,
    content_digest,
    entry_hash,
    facts_of,
    microseconds,
    payload_of,
)
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction

revision, down_revision = "0002", "0001"
_CHUNK = 1000
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _tables() -> dict[str, sa.Table]:
    return {
        "entries": op.create_table(
            "entries",
            sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
            sa.Column("kind", sa.SmallInteger, nullable=False),
            sa.Column("entry_id", sa.String(32), nullable=False, unique=True),
            sa.Column("at", sa.BigInteger, nullable=False, index=True),
            sa.Column("decision", sa.SmallInteger, nullable=False),
            sa.Column("facts", sa.LargeBinary, nullable=False),
            sa.Column("commitment", sa.LargeBinary, nullable=False),
            sa.Column("hash", sa.LargeBinary, nullable=False),
        ),
        "payloads": op.create_table(
            "payloads",
            sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
            sa.Column("transaction_id", sa.String(128), nullable=False, index=True),
            sa.Column("user_id", sa.String(128), nullable=False, index=True),
            sa.Column("content_digest", sa.LargeBinary, nullable=False),
            sa.Column("salt", sa.LargeBinary, nullable=False),
            sa.Column("payload", sa.LargeBinary, nullable=False),
        ),
        "cases": op.create_table(
            "cases",
            sa.Column("case_id", sa.String(32), primary_key=True),
            sa.Column("opened_by", sa.BigInteger, nullable=False, index=True),
            sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
            sa.Column("opened_at", sa.BigInteger, nullable=False),
            sa.Column("status", sa.SmallInteger, nullable=False, index=True),
            sa.Column("reason", sa.SmallInteger, nullable=False),
            sa.Column("legitimacy_score", sa.Float),
            sa.Column("recommendation", sa.SmallInteger, nullable=False),
            sa.Column("reviewer", sa.String(128), nullable=False),
            sa.Column("resolved_at", sa.BigInteger),
            sa.Column("verdict", sa.SmallInteger, nullable=False),
            sa.Column("note", sa.Text, nullable=False),
            sa.Index("ix_cases_reason_status", "reason", "status"),
        ),
        "head": op.create_table(
            "head",
            sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("hash", sa.LargeBinary, nullable=False),
            sa.Column("signature", sa.LargeBinary, nullable=False),
        ),
    }


def upgrade() -> None:
    """Make the new tables, fill them from the old ones, drop those."""
    connection = op.get_bind()
    for name in ("ix_cases_status", "ix_decisions_transaction_id"):
        op.drop_index(name)
    op.rename_table("cases", "old_cases")
    tables = _tables()
    end, sequences = _carry_decisions(connection, tables)
    _carry_cases(connection, tables["cases"], sequences)
    op.bulk_insert(tables["head"], [{"id": 1, "sequence": len(sequences), "hash": end, "signature": b""}])
    for name in ("old_cases", "orders", "decisions"):
        op.drop_table(name)


def _carry_decisions(connection: Any, tables: dict[str, sa.Table]) -> tuple[bytes, dict[str, int]]:
    """The end of the chain, and the sequence number of every decision by its id."""
    end, sequences, revisions, latest = GENESIS, dict[str, int](), Counter[str](), dict[str, str]()
    last = 0
    query = sa.text(
        'SELECT d.sequence, d.review, o."transaction" AS content FROM decisions d '
        "LEFT JOIN orders o ON o.decision_id = d.decision_id WHERE d.sequence > :last ORDER BY d.sequence LIMIT :most"
    )
    while rows := connection.execute(query, {"last": last, "most": _CHUNK}).all():
        entries, payloads = [], []
        for row in rows:
            answer = pb.ReviewResponse.FromString(row.review)
            order = Transaction.FromString(row.content or b"")
            order.transaction_id = answer.transaction_id
            revisions[answer.transaction_id] += 1
            answer.revision = revisions[answer.transaction_id]
            answer.replaces_decision_id = latest.get(answer.transaction_id, "")
            latest[answer.transaction_id] = answer.decision_id
            sequence, digest, salt = len(sequences) + 1, content_digest(order), os.urandom(SALT_BYTES)
            facts = facts_of(answer).SerializeToString()
            payload = payload_of(answer, order).SerializeToString()
            at = microseconds(answer.decided_at)
            commitment = commit_to(salt, order.transaction_id, order.user_id, digest, payload)
            numbers = (sequence, DECISION, answer.decision_id, at, answer.decision, facts, commitment)
            end = entry_hash(end, *numbers)
            names = ("sequence", "kind", "entry_id", "at", "decision", "facts", "commitment", "hash")
            entries.append(dict(zip(names, (*numbers, end), strict=True)))
            payloads.append(
                {
                    "sequence": sequence, "transaction_id": order.transaction_id, "user_id": order.user_id,
                    "content_digest": digest, "salt": salt, "payload": payload,
                }
            )  # fmt: skip
            sequences[answer.decision_id], last = sequence, row.sequence
        op.bulk_insert(tables["entries"], entries)
        op.bulk_insert(tables["payloads"], payloads)
    return end, sequences


def _carry_cases(connection: Any, table: sa.Table, sequences: dict[str, int]) -> None:
    rows = connection.execute(sa.text('SELECT decision_id, "case" AS content FROM old_cases ORDER BY sequence')).all()
    carried = []
    for row in rows:
        case = cases.Case.FromString(row.content)
        carried.append(
            {
                "case_id": case.case_id, "opened_by": sequences[row.decision_id], "sequence": sequences[row.decision_id],
                "opened_at": microseconds(case.opened_at), "status": case.status, "reason": case.reason,
                "legitimacy_score": case.legitimacy_score, "recommendation": case.recommendation,
                "reviewer": case.reviewer, "resolved_at": None, "verdict": case.verdict, "note": case.note,
            }
        )  # fmt: skip
    if carried:
        op.bulk_insert(table, carried)
