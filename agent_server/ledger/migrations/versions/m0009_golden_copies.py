"""Golden copies that are erased with their person, and verdicts that count once they are no longer hidden."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    """Make the table and the column. Verdicts that are hidden already counted at once: their column stays empty."""
    op.add_column("cases", sa.Column("counts_from", sa.BigInteger))
    op.create_table(
        "golden_copies",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("person", sa.BigInteger, primary_key=True, autoincrement=False),
    )
    op.create_index("ix_golden_copies_person", "golden_copies", ["person"])
