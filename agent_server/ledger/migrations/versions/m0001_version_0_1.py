"""The tables of version 0.1."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("decision_id", sa.String(32), nullable=False, unique=True),
        sa.Column("transaction_id", sa.String(128), nullable=False, index=True),
        sa.Column("decided_at", sa.String(32), nullable=False),
        sa.Column("decision", sa.Integer, nullable=False),
        sa.Column("review", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "orders",
        sa.Column("decision_id", sa.String(32), primary_key=True),
        sa.Column("transaction", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "cases",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("case_id", sa.String(32), nullable=False, unique=True),
        sa.Column("decision_id", sa.String(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False, index=True),
        sa.Column("case", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "proofs",
        sa.Column("writer", sa.String(32), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
