"""Blind reviews and golden cases, and a numbered list of what happens to cases."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Add the columns and make the table: every earlier case is in round 1."""
    for column in (
        sa.Column("claimed_at", sa.BigInteger),
        sa.Column("round", sa.SmallInteger, nullable=False, server_default="1"),
        sa.Column("review_of", sa.String(32), nullable=False, server_default=""),
        sa.Column("hidden_entry", sa.BigInteger),
        sa.Column("held", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("golden", sa.SmallInteger, nullable=False, server_default="0"),
    ):
        op.add_column("cases", column)
    op.create_index("ix_cases_opened_at", "cases", ["opened_at"])
    op.create_index("ix_cases_review_of", "cases", ["review_of"])
    op.create_table(
        "case_changes",
        sa.Column("change", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sqlite_autoincrement=True,
    )
