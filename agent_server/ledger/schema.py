"""Tables of the ledger and of history, as the newest migration leaves them. Those of cases are in `cases/tables.py`.

The chain commits to all columns of tables whose `info` has "protected": see protected_rows. `info` names the
"sequences" among the columns: those with numbers of entries.
"""

import sqlalchemy as sa

from contract.fields import PSEUDONYMS

METADATA = sa.MetaData()
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # so that SQLite uses it as the row id
ID = sa.String(32)
_SHOP_ID = sa.String(128)


def _index_of_pseudonyms(name: str) -> sa.Index:
    """Return an index of the attempts that have a pseudonym: it costs nothing where a shop does not send it."""
    has_one = sa.text(f"{name} IS NOT NULL")
    return sa.Index(
        f"ix_attempts_{name}", name, "at", "number", "user_id", sqlite_where=has_one, postgresql_where=has_one
    )


ENTRIES = sa.Table(
    "entries",
    METADATA,
    sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("entry_id", ID, nullable=False, unique=True),
    sa.Column("at", sa.BigInteger, nullable=False, index=True),
    sa.Column("decision", sa.SmallInteger, nullable=False),
    sa.Column("facts", sa.LargeBinary, nullable=False),
    sa.Column("commitment", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    info={"sequences": ("sequence",)},
)
"""The chain: never changed, never deleted, numbered from 1 without gaps. `at` is in microseconds since 1970."""

PAYLOADS = sa.Table(
    "payloads",
    METADATA,
    sa.Column("sequence", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("transaction_id", _SHOP_ID, nullable=False, index=True),
    sa.Column("user_id", _SHOP_ID, nullable=False, index=True),
    sa.Column("content_digest", sa.LargeBinary, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("memory_number", sa.BigInteger, index=True),
    info={"sequences": ("sequence",)},
)
"""The personal part of decisions. To erase a row leaves its entry, whose commitment then reveals nothing.
`memory_number` is the number of the attempt that was decided.
"""

OUTCOMES = sa.Table(
    "outcomes",
    METADATA,
    sa.Column("outcome_id", sa.String(64), primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("occurred_at", sa.BigInteger, nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("abuse_type", sa.String(64), nullable=False),
    sa.Column("reported_at", sa.BigInteger, nullable=False),
    sa.Column("reported_by", sa.String(128), nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    info={"protected": True},
)
"""Outcomes of orders. `outcome_id` is a digest that equal reports share, `sequence` the decision. Never deleted."""

ATTEMPTS = sa.Table(
    "attempts",
    METADATA,
    sa.Column("number", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("transaction_id", sa.BigInteger),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("user_id", sa.BigInteger),
    sa.Column("device_id", sa.BigInteger),
    sa.Column("ip_address", sa.BigInteger),
    sa.Column("card_id", sa.BigInteger),
    sa.Column("amount", sa.BigInteger),
    sa.Column("counts", sa.Boolean, nullable=False),
    *(sa.Column(name, sa.BigInteger) for name in PSEUDONYMS),
    sa.Column("card_bin", sa.BigInteger),
    sa.Index("ix_attempts_user", "user_id", "at", "number", "counts", "amount", "device_id", "card_id"),
    sa.Index("ix_attempts_device", "device_id", "at", "number", "user_id"),
    sa.Index("ix_attempts_address", "ip_address", "at", "number", "user_id"),
    sa.Index("ix_attempts_card", "card_id", "at", "number", "user_id"),
    sa.Index("ix_attempts_bin", "card_bin", "at", "number", "user_id", "card_id"),
    sa.Index("ix_attempts_transaction", "transaction_id", "number"),
    *(_index_of_pseudonyms(name) for name in PSEUDONYMS),
)
"""The attempts of orders in history, in the order of requests: see history/. A replaced one has only number and time.

Texts are stored as keyed digests of 64 bits. `at` is the order's own time in seconds since 1970, `amount` is in ten-
thousandths, and `counts` is true until the order is denied. The indexes contain all columns that queries read.
"""

REPLACED_ATTEMPTS = sa.Table(
    "replaced_attempts",
    METADATA,
    sa.Column("number", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("transaction_id", sa.BigInteger, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("user_id", sa.BigInteger, nullable=False, index=True),
    sa.Column("device_id", sa.BigInteger),
    sa.Column("ip_address", sa.BigInteger),
    sa.Column("card_id", sa.BigInteger),
    sa.Column("amount", sa.BigInteger),
    *(sa.Column(name, sa.BigInteger) for name in PSEUDONYMS),
    sa.Column("card_bin", sa.BigInteger),
)
"""Attempts that were replaced before they were decided, unchanged. They do not count as orders. The export needs them,
since orders that arrived meanwhile have counted them.
"""

MEMORY = sa.Table(
    "memory",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("since", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("folded_until", sa.BigInteger, nullable=False, default=0),
    sa.Column("importing_until", sa.BigInteger, nullable=False, default=0),
)
"""One row: the moment from which on history is complete, in seconds since 1970, the number of the latest attempt, the
key of the digests, the moment up to which attempts are compacted, and the end of the pause of compaction for an import.
"""

FOLDED = sa.Table(
    "folded",
    METADATA,
    sa.Column("user_id", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("orders", sa.BigInteger, nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("amounts", sa.BigInteger, nullable=False),
    sa.Column("first", sa.BigInteger),
    sa.Column("last", sa.BigInteger, nullable=False),
)
"""Totals of an account's attempts that no window can reach any more: the number of orders, the sum of their amounts in
ten-thousandths, the number of amounts, and the times of the first order and the last attempt.
"""

FOLDED_DEVICES = sa.Table(
    "folded_devices",
    METADATA,
    sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The devices of compacted attempts, by account."""

ROW_CHANGES = sa.Table(
    "row_changes",
    METADATA,
    sa.Column("number", SEQUENCE, primary_key=True, autoincrement=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
"""The second chain: commitments to the rows of cases, case events and outcomes, see protected_rows. Never changed."""

HEAD = sa.Table(
    "head",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    sa.Column("rows_number", sa.BigInteger, nullable=False, default=0),
    sa.Column("rows_hash", sa.LargeBinary, nullable=False, default=bytes(32)),
)
"""The heads of both chains, in one row. Writers lock it. So the order of sequence numbers is the order of commits."""

PROOFS = sa.Table(
    "proofs",
    METADATA,
    sa.Column("writer", ID, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
"""One row for each process that writes. It is overwritten again and again to prove that a decision can be recorded."""

IMPORT_EXCLUSIONS = sa.Table(
    "import_exclusions",
    METADATA,
    sa.Column("user_id", SEQUENCE, primary_key=True, autoincrement=False),
)
"""Digests of accounts that were erased during an import, which then skips their orders. Empty without an import."""

ERASURE_PROGRESS = sa.Table(
    "erasure_progress",
    METADATA,
    sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("requested", sa.BigInteger, nullable=False, default=0),
    sa.Column("rewritten", sa.BigInteger, nullable=False, default=0),
    sa.Column("cleared", sa.BigInteger, nullable=False, default=0),
    sa.Column("since", sa.BigInteger, nullable=False, default=0),
    sa.Column("log_ends_at", sa.BigInteger, nullable=False, default=0),
    sa.Column("owner", ID, nullable=False, default=""),
    sa.Column("leased_until", sa.BigInteger, nullable=False, default=0),
    sa.Column("waiting_for", sa.String(256), nullable=False, default=""),
)
"""The progress of the removal of erased bytes from the database's files. One row.

`requested` counts erasures. Those up to `rewritten` are gone from the files of the tables, those up to `cleared` from
the write-ahead log too. `since` is the time of the oldest erasure that is not cleared. `log_ends_at` is the time after
which nothing erased was written to the log. `leased_until` is the end of the lease of the process that does the work.
All times are in microseconds since 1970. `waiting_for` says what the work waits for.
"""
