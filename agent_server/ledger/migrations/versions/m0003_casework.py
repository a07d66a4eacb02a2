"""Casework: claims with tokens, urgency, verdicts by kind and code, and the history of each case."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from agent_server.ledger.migrations.frozen import due_at, expected_loss, urgency
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.ledger_entry_pb2 import DecisionPayload

revision, down_revision = "0003", "0002"
_CHUNK = 1000


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("expected_loss", sa.Float, nullable=False, server_default="0"),
        sa.Column("urgency", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("due_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claim_token", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("claimed_until", sa.BigInteger),
        sa.Column("abuse_type", sa.String(64), nullable=False, server_default=""),
        sa.Column("reason_code", sa.String(64), nullable=False, server_default=""),
    )


def upgrade() -> None:
    """Add the columns, make the table of events, and fill both from what is there."""
    for column in _columns():
        op.add_column("cases", column)
    events = op.create_table(
        "case_events",
        sa.Column("case_id", sa.String(32), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_cases_status_urgency", "cases", ["status", "urgency", "case_id"])
    connection, last = op.get_bind(), ""
    known = sa.MetaData()
    known.reflect(connection, only=["cases", "payloads"])
    table, payloads = known.tables["cases"], known.tables["payloads"]
    chosen = sa.select(table, payloads.c.payload).join(payloads, payloads.c.sequence == table.c.sequence, isouter=True)
    while rows := connection.execute(
        chosen.where(table.c.case_id > last).order_by(table.c.case_id).limit(_CHUNK)
    ).all():  # fmt: skip
        history = []
        for row in rows:
            order = DecisionPayload.FromString(row.payload or b"").transaction
            loss = expected_loss(order, row.legitimacy_score)
            changed = {"expected_loss": loss, "urgency": urgency(row.opened_at, loss), "due_at": due_at(row.opened_at)}
            connection.execute(table.update().where(table.c.case_id == row.case_id).values(changed))
            if row.status == cases.CASE_STATUS_RESOLVED:
                closed = {"case_id": row.case_id, "number": 2, "at": row.resolved_at or row.opened_at}
                history.append({**closed, "kind": cases.CASE_EVENT_KIND_CLOSED, "actor": "", "text": ""})
        op.bulk_insert(events, history)
        last = rows[-1].case_id
