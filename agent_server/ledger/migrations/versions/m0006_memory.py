"""History: the attempts of orders, by user, device and address."""

import os
import time

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Make the tables. Memory begins now: orders that were decided before are not looked up."""
    op.create_table(
        "attempts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.BigInteger),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger),
        sa.Column("device_id", sa.BigInteger),
        sa.Column("ip_address", sa.BigInteger),
        sa.Column("card_id", sa.BigInteger),
        sa.Column("amount", sa.BigInteger),
        sa.Column("counts", sa.Boolean, nullable=False),
    )
    of_user = ["user_id", "at", "number", "counts", "amount", "device_id", "card_id"]
    op.create_index("ix_attempts_user", "attempts", of_user)
    op.create_index("ix_attempts_device", "attempts", ["device_id", "at", "number", "user_id"])
    op.create_index("ix_attempts_address", "attempts", ["ip_address", "at", "number", "user_id"])
    memory = op.create_table(
        "memory",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
    )
    op.bulk_insert(memory, [{"id": 1, "since": int(time.time()), "number": 0, "key": os.urandom(32)}])
