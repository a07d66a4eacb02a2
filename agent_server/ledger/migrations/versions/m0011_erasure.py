"""Progress of erasures in the database's files. It repeats erasures of earlier versions, which left bytes behind."""

import time

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0011", "0010"
_ERASURE = 2  # the kind of an entry about an erasure


def upgrade() -> None:
    """Create the tables, and ask for a rewrite where anything was erased before."""
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "import_exclusions",
        sa.Column("user_id", number, primary_key=True, autoincrement=False),
    )
    progress = op.create_table(
        "erasure_progress",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("rewritten", sa.BigInteger, nullable=False),
        sa.Column("cleared", sa.BigInteger, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("log_ends_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("leased_until", sa.BigInteger, nullable=False),
        sa.Column("waiting_for", sa.String(256), nullable=False),
    )
    entries = sa.table("entries", sa.column("kind"))
    connection = op.get_bind()
    erased = (
        connection.execute(sa.select(entries.c.kind).where(entries.c.kind == _ERASURE).limit(1)).first() is not None
    )
    row = {"id": 1, "requested": int(erased), "rewritten": 0, "cleared": 0, "log_ends_at": 0, "leased_until": 0}
    since = time.time_ns() // 1000 if erased else 0
    connection.execute(progress.insert().values(**row, since=since, owner="", waiting_for=""))
