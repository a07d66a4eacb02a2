"""What is checked of a ledger before it serves: that its file is whole, and that its end is what was written last."""

import contextlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.audit.verify import End, end_of, verify_place
from agent_server.database.copies import damage_of, refuse_remnants
from agent_server.database.engine import LedgerError, connect_reading, is_in_memory, path_of, snapshot, unusable
from agent_server.ledger.chain import GENESIS, Signer
from agent_server.ledger.migrate import NEWEST, revision_of
from agent_server.ledger.protected_rows import link_hash
from agent_server.ledger.schema import ENTRIES, HEAD, ROW_CHANGES
from agent_server.ledger.transaction import check_head
from runtime.telemetry.logging import get_logger

CHECK_SECONDS = 20.0
"""How long a start waits for the check of a large file; `vouch ledger check` has no limit."""
_ADVICE = "restore a backup by `vouch ledger restore`"
_log = get_logger()


def check_ledger(url: str, signer: Signer | None = None, within_seconds: float | None = CHECK_SECONDS) -> None:
    """Raise LedgerError where a ledger cannot serve; it is only read. One that is not there yet can.

    Without a `signer` the signature is not looked at.
    """
    path = path_of(url)
    if path is not None:
        refuse_remnants(path)
        if not path.exists():
            return
        damage = damage_of(path, within_seconds)
        if damage is None:
            _log.warning("the check of the ledger's file was not finished in time", seconds=within_seconds)
        elif damage:
            raise LedgerError(
                f"the ledger {path} is damaged, or the log beside it is another one's ({damage}): {_ADVICE}"
            )
    elif is_in_memory(url):
        return
    engine = connect_reading(url)
    try:
        with snapshot(engine) as connection:
            check_end(connection, signer)
    except sa.exc.SQLAlchemyError as error:
        raise unusable(error) from error
    finally:
        engine.dispose()


def check_end(connection: Connection, signer: Signer | None) -> None:
    """Raise LedgerError where the end of either chain is not the one that was written last, or not signed by the signer."""
    if revision_of(connection) != NEWEST:
        return  # it is migrated first
    end = end_of(connection)
    problem = "it does not say where it ends" if end is None else _problem_of(connection, end)
    if problem:
        raise LedgerError(f"the end of the ledger is damaged ({problem}): see `vouch audit verify`, then {_ADVICE}")
    if signer is not None:
        check_head(connection.execute(sa.select(HEAD)).one(), signer)


def _problem_of(connection: Connection, end: End) -> str:
    newest = connection.execute(sa.select(sa.func.max(ENTRIES.c.sequence))).scalar() or 0
    if newest != end.sequence:
        return f"it states {end.sequence} entries, and the newest one is {newest}"
    problem = verify_place(connection, newest).problem if newest else ""
    return problem or _problem_of_rows(connection, end.rows_number, end.rows_hash)


def _problem_of_rows(connection: Connection, number: int, end: bytes) -> str:
    newest = sa.select(ROW_CHANGES).order_by(ROW_CHANGES.c.number.desc()).limit(2)
    rows = connection.execute(newest).all()
    before = rows[1].hash if len(rows) > 1 else GENESIS
    found, stated = (rows[0].number, rows[0].hash) if rows else (0, GENESIS)
    with contextlib.suppress(TypeError):
        if (found, stated) == (number, end) and (not rows or link_hash(before, found, rows[0].content) == stated):
            return ""
    return f"row change {number} is missing, or is not what was written"
