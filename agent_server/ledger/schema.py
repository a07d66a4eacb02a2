"""Tables of the ledger and of history, as the newest migration leaves them; those of cases are in `cases/tables.py`.

Rows of tables whose `info` says "protected" are committed to, with all their columns: see protected_rows.
"""

import sqlalchemy as sa

METADATA = sa.MetaData()
SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # the row's own number there
ID = sa.String(32)
_SHOP_ID = sa.String(128)

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
)
"""What is personal of a decision: erasing a row leaves its entry, whose commitment then says nothing. `memory_number` is
that of the attempt which was decided.
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
"""What became of orders. `outcome_id` is a digest of what makes two reports the same, `sequence` the decision. All stay."""

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
    sa.Index("ix_attempts_user", "user_id", "at", "number", "counts", "amount", "device_id", "card_id"),
    sa.Index("ix_attempts_device", "device_id", "at", "number", "user_id"),
    sa.Index("ix_attempts_address", "ip_address", "at", "number", "user_id"),
    sa.Index("ix_attempts_card", "card_id", "at", "number", "user_id"),
    sa.Index("ix_attempts_transaction", "transaction_id", "number"),
)
"""What memory has of each order that was asked about, in the order of asking: see history/. What was replaced has
its time only.

Instead of texts there are keyed digests of them, of 64 bits. `at` is the order's own time in seconds since 1970, `amount` in
ten-thousandths; it `counts` while it is not denied. The indexes hold all that is looked at.
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
)
"""Attempts that were replaced before anything was decided on them, as they were. No order is counted by them: the export needs
them, since others have seen them meanwhile.
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
"""One row: from when on memory knows all orders, in seconds since 1970, the number of the latest attempt, the digests' key; up
to which moment attempts are folded, and until when nothing is, since an import goes on.
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
"""What is left of an account's attempts that no window can see: how many were orders, the sum of their amounts in
ten-thousandths and how many had one, when the first order and the last attempt were.
"""

FOLDED_DEVICES = sa.Table(
    "folded_devices",
    METADATA,
    sa.Column("user_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)
"""The devices of these attempts."""

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
"""The ends of both chains, one row: who locks it may append. So the order of sequences is the order of commits."""

PROOFS = sa.Table(
    "proofs",
    METADATA,
    sa.Column("writer", ID, primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
"""One row for each process that writes, written over and over: the proof that a decision could be kept now."""

IMPORT_EXCLUSIONS = sa.Table(
    "import_exclusions",
    METADATA,
    sa.Column("user_id", SEQUENCE, primary_key=True, autoincrement=False),
)
"""Digests of accounts that were erased while an import runs: the rest of it leaves their orders out. Empty otherwise."""

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
"""How far the removal of erased bytes from the database's files has come. One row.

`requested` counts erasures. Those up to `rewritten` are gone from the files of the tables, those up to `cleared` from the
write-ahead log too. `since` is the time of the oldest erasure that is not cleared, `log_ends_at` the time after which nothing
erased was written to the log, `leased_until` the end of the lease of the process that does the work; all in microseconds since
1970. `waiting_for` says what the work waits for.
"""
