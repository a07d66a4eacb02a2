"""Pseudonyms of e-mail address, phone number and shipping address as keys of history."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0021", "0012"
_NAMES = ("email_id", "phone_id", "shipping_address_id")


def upgrade() -> None:
    """Add the columns, and indexes of the attempts that have a value."""
    for name in _NAMES:
        for table in ("attempts", "replaced_attempts"):
            op.add_column(table, sa.Column(name, sa.BigInteger))
        has_one = sa.text(f"{name} IS NOT NULL")
        op.create_index(
            f"ix_attempts_{name}", "attempts", [name, "at", "number", "user_id"],
            sqlite_where=has_one, postgresql_where=has_one,
        )  # fmt: skip
