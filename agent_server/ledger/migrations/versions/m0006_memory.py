"""Memory: what was asked about, by user, device and address."""

import time

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Make the tables. Memory begins now: orders that were decided before are not looked up."""
    op.create_table(
        "attempts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.String(128)),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.String(128)),
        sa.Column("device_id", sa.String(128)),
        sa.Column("ip_address", sa.String(45)),
        sa.Column("card_id", sa.String(128)),
        sa.Column("amount", sa.BigInteger),
        sa.Column("counts", sa.Boolean, nullable=False),
    )
    op.create_index("ix_attempts_user_id_at", "attempts", ["user_id", "at"])
    op.create_index("ix_attempts_device_id_at", "attempts", ["device_id", "at", "user_id"])
    op.create_index("ix_attempts_ip_address_at", "attempts", ["ip_address", "at", "user_id"])
    memory = op.create_table(
        "memory",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(memory, [{"id": 1, "since": int(time.time()), "number": 0}])
