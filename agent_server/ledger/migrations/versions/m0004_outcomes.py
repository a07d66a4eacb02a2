"""Outcomes: what became of orders."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "outcomes",
        sa.Column("outcome_id", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("occurred_at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("abuse_type", sa.String(64), nullable=False),
        sa.Column("reported_at", sa.BigInteger, nullable=False),
        sa.Column("reported_by", sa.String(128), nullable=False),
    )
