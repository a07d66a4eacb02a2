"""The tables of the ledger."""

import sqlalchemy as sa

METADATA = sa.MetaData()

DECISIONS = sa.Table(
    "decisions",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("decision_id", sa.String(32), nullable=False, unique=True),
    sa.Column("transaction_id", sa.String(128), nullable=False, index=True),
    sa.Column("decided_at", sa.String(32), nullable=False),
    sa.Column("decision", sa.Integer, nullable=False),
    sa.Column("review", sa.LargeBinary, nullable=False),
)
"""One row a decision, never changed; `review` is the ReviewResponse as it was answered."""

ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("decision_id", sa.String(32), primary_key=True),
    sa.Column("transaction", sa.LargeBinary, nullable=False),
)
"""The order behind a decision: the personal part, kept apart so that it can be erased alone."""

CASES = sa.Table(
    "cases",
    METADATA,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("case_id", sa.String(32), nullable=False, unique=True),
    sa.Column("decision_id", sa.String(32), nullable=False),
    sa.Column("status", sa.Integer, nullable=False, index=True),
    sa.Column("case", sa.LargeBinary, nullable=False),
)
"""What waits for a person; `case` is the Case message."""

PROOFS = sa.Table(
    "proofs",
    METADATA,
    sa.Column("writer", sa.String(32), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
)
"""One row for each process that writes, written over and over: the proof that a decision could be kept now."""
