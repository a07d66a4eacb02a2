"""Totals of attempts that no window reaches, and an index of decisions by the number of their attempt."""

import sqlalchemy as sa
from alembic import op

from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

revision, down_revision = "0007", "0006"
_AT_ONCE = 1000


def upgrade() -> None:
    """Make the tables and columns, and note the number of every decision's attempt beside what is personal of it."""
    for name in ("folded_until", "importing_until"):
        op.add_column("memory", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "folded",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("orders", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("amounts", sa.BigInteger, nullable=False),
        sa.Column("first", sa.BigInteger),
        sa.Column("last", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "folded_devices",
        sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_attempts_card", "attempts", ["card_id", "at", "number", "user_id"])
    op.add_column("payloads", sa.Column("memory_number", sa.BigInteger))
    _note_numbers()
    op.create_index("ix_payloads_memory_number", "payloads", ["memory_number"])


def _note_numbers() -> None:
    connection, last = op.get_bind(), 0
    entries = sa.table("entries", sa.column("sequence"), sa.column("facts"))
    payloads = sa.table("payloads", sa.column("sequence"), sa.column("memory_number"))
    decided = sa.select(entries.c.sequence, entries.c.facts).join(payloads, payloads.c.sequence == entries.c.sequence)
    noted = payloads.update().where(payloads.c.sequence == sa.bindparam("place"))
    while True:
        following = decided.where(entries.c.sequence > last).order_by(entries.c.sequence).limit(_AT_ONCE)
        rows = connection.execute(following).all()
        if not rows:
            return
        last = rows[-1].sequence
        numbers = {row.sequence: DecisionFacts.FromString(row.facts).memory_number for row in rows}
        known = [{"place": sequence, "number": number} for sequence, number in numbers.items() if number]
        if known:
            connection.execute(noted.values(memory_number=sa.bindparam("number")), known)
