"""One attempt in history for each order, found by the order's id. Replaced attempts are stored for the export."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    """Make the index and the table."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_index("ix_attempts_transaction", "attempts", ["transaction_id", "number"])
    op.create_table(
        "replaced_attempts",
        sa.Column("number", number, primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("user_id", sa.BigInteger, nullable=False),
        sa.Column("device_id", sa.BigInteger),
        sa.Column("ip_address", sa.BigInteger),
        sa.Column("card_id", sa.BigInteger),
        sa.Column("amount", sa.BigInteger),
    )
    op.create_index("ix_replaced_attempts_user_id", "replaced_attempts", ["user_id"])
