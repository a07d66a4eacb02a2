"""The tables of cases, as the newest migration leaves them."""

import sqlalchemy as sa

from agent_server.ledger.schema import ID, METADATA, SEQUENCE

CASES = sa.Table(
    "cases",
    METADATA,
    sa.Column("case_id", ID, primary_key=True),
    sa.Column("opened_by", sa.BigInteger, nullable=False, index=True),
    sa.Column("sequence", sa.BigInteger, nullable=False, index=True),
    sa.Column("opened_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("status", sa.SmallInteger, nullable=False, index=True),
    sa.Column("reason", sa.SmallInteger, nullable=False),
    sa.Column("legitimacy_score", sa.Float),
    sa.Column("recommendation", sa.SmallInteger, nullable=False),
    sa.Column("reviewer", sa.String(128), nullable=False, default=""),
    sa.Column("resolved_at", sa.BigInteger),
    sa.Column("verdict", sa.SmallInteger, nullable=False, default=0),
    sa.Column("note", sa.Text, nullable=False, default=""),
    sa.Column("expected_loss", sa.Float, nullable=False, default=0.0),
    sa.Column("urgency", sa.BigInteger, nullable=False, default=0),
    sa.Column("due_at", sa.BigInteger, nullable=False, default=0),
    sa.Column("claim_token", sa.BigInteger, nullable=False, default=0),
    sa.Column("claimed_until", sa.BigInteger),
    sa.Column("abuse_type", sa.String(64), nullable=False, default=""),
    sa.Column("reason_code", sa.String(64), nullable=False, default=""),
    sa.Column("claimed_at", sa.BigInteger),
    sa.Column("round", sa.SmallInteger, nullable=False, default=1),
    sa.Column("review_of", ID, nullable=False, default="", index=True),
    sa.Column("hidden_entry", sa.BigInteger),
    sa.Column("held", sa.Boolean, nullable=False, default=False),
    sa.Column("golden", sa.SmallInteger, nullable=False, default=0),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("counts_from", sa.BigInteger),
    sa.Index("ix_cases_reason_status", "reason", "status"),
    sa.Index("ix_cases_status_urgency", "status", "urgency", "case_id"),
    info={"protected": True, "sequences": ("sequence", "opened_by")},
)
"""Orders that need a person: the entry that opened the case, the latest decision on it, and its current claim.

A blind review is a case too: `round` is 2 or 3, and `review_of` is the first case of the order. While it is unresolved,
no reviewer sees the verdict that it checks, neither in that case nor in its `hidden_entry`. `held` cases need two
reviewers who agree. `golden` is the right verdict of a case that only tests its reviewer, else 0.

`counts_from` is the number of attempts in history when the verdict of `hidden_entry` began to count there, that is when
the blind review was resolved. It is 0 before that, and -1 if a later decision replaced the verdict meanwhile. It is
NULL without such an entry, or if the verdict counted at once (ledgers before revision 0009).
"""

CASE_EVENTS = sa.Table(
    "case_events",
    METADATA,
    sa.Column("case_id", ID, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sa.Column("actor", sa.String(128), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    info={"protected": True},
)
"""Events of cases after they were opened, numbered from 2. `text` is what people wrote; an erasure empties it."""

CASE_CHANGES = sa.Table(
    "case_changes",
    METADATA,
    sa.Column("change", SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("case_id", ID, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""Changes to cases, in the order of commits, since writers lock the head of the chain. Old ones are deleted."""

GOLDEN_COPIES = sa.Table(
    "golden_copies",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("ix_golden_copies_person", "person"),
)
"""Whose orders a golden order is a copy of: the sequence number of the decision on it, and keyed digests of accounts as
in history. It is erased with any of these accounts.
"""
