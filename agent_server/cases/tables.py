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
    info={"protected": True},
)
"""What waits for a person: the entry that opened a case, the latest decision it hangs on, and who has it until when.

A second or third look (`round`) at the case `review_of` is a case too. While it is not resolved nobody who reviews sees the
verdict that it is about: neither in that case nor in its `hidden_entry`. `held` cases need two who agree. `golden` is the right
verdict of a case that only tests its reviewer, else 0.

`counts_from` is how many attempts memory had when the verdict of `hidden_entry` began to count there, which is when the look
was done; 0 before, -1 where a later decision took the order's place meanwhile, NULL where there is no such entry, or where it
counted at once (ledgers before revision 0009).
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
"""What happened to a case after it was opened, numbered from 2. `text` is what people wrote: emptied with what is erased."""

CASE_CHANGES = sa.Table(
    "case_changes",
    METADATA,
    sa.Column("change", SEQUENCE, primary_key=True, autoincrement=True),
    sa.Column("case_id", ID, nullable=False),
    sa.Column("kind", sa.SmallInteger, nullable=False),
    sqlite_autoincrement=True,
)
"""What happens to cases, in the order of commits: who writes has locked the head of the chain. Old ones are dropped."""

GOLDEN_COPIES = sa.Table(
    "golden_copies",
    METADATA,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("person", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("ix_golden_copies_person", "person"),
)
"""Of whose orders a golden order is a copy: the decision on it, and keyed digests of accounts as memory has them. It is erased
with each of them.
"""
