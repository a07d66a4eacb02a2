"""The request to remove deleted rows from the database's files; see agent_server/privacy/."""

import time

import sqlalchemy as sa

from agent_server.ledger.schema import ERASURE_PROGRESS


def request_removal() -> sa.Executable:
    """Return the statement that requests it. Run it in the transaction that deletes personal data."""
    row, now = ERASURE_PROGRESS.c, time.time_ns() // 1000
    return ERASURE_PROGRESS.update().values(
        requested=row.requested + 1, since=sa.case((row.cleared < row.requested, row.since), else_=now)
    )
