"""The first digits of cards in history, so that rules of a policy can count attempts by them."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0023", "0021"


def upgrade() -> None:
    """Add the column, empty for earlier attempts, and its index."""
    for table in ("attempts", "replaced_attempts"):
        op.add_column(table, sa.Column("card_bin", sa.BigInteger))
    op.create_index("ix_attempts_bin", "attempts", ["card_bin", "at", "number", "user_id", "card_id"])
