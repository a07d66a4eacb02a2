"""Checks a ledger before it serves: that its file is undamaged, and that its head is what was written last."""

import contextlib

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.audit.verify import ChainHead, read_head, verify_entry
from agent_server.database.copies import find_damage, refuse_remnants
from agent_server.database.engine import (
    DamagedLedger,
    connect_reading,
    is_in_memory,
    path_of,
    snapshot,
    unusable_database,
)
from agent_server.ledger.chain import GENESIS, Signer
from agent_server.ledger.migrate import NEWEST, revision_of
from agent_server.ledger.protected_rows import link_hash
from agent_server.ledger.schema import ENTRIES, HEAD, ROW_CHANGES
from agent_server.ledger.transaction import check_head
from runtime.telemetry.logging import get_logger

CHECK_SECONDS = 20.0
"""Limit for the check of a large file at the start. `vouch ledger check` has none."""
_ADVICE = "restore a backup by `vouch ledger restore`"
_log = get_logger()


def check_ledger(url: str, signer: Signer | None = None, within_seconds: float | None = CHECK_SECONDS) -> None:
    """Raise LedgerError if a ledger cannot serve. It only reads, and accepts a ledger that does not exist yet.

    Without a `signer` the signature is not checked.
    """
    path = path_of(url)
    if path is not None:
        refuse_remnants(path)
        if not path.exists():
            return
        damage = find_damage(path, within_seconds)
        if damage is None:
            _log.warning("ledger file check did not finish in time", seconds=within_seconds)
        elif damage:
            raise DamagedLedger(
                f"the ledger {path} is damaged, or the log next to it is not its own ({damage}); {_ADVICE}"
            )
    elif is_in_memory(url):
        return
    engine = connect_reading(url)
    try:
        with snapshot(engine) as connection:
            check_stored_head(connection, signer)
    except sa.exc.SQLAlchemyError as error:
        raise unusable_database(error) from error
    finally:
        engine.dispose()


def check_stored_head(connection: Connection, signer: Signer | None) -> None:
    """Raise LedgerError if the head of either chain is not what was written last, or is not signed by the signer."""
    if revision_of(connection) != NEWEST:
        return  # it is migrated first
    head = read_head(connection)
    problem = "it states no head" if head is None else _find_problem(connection, head)
    if problem:
        raise DamagedLedger(f"the head of the ledger is damaged ({problem}); see `vouch audit verify`, then {_ADVICE}")
    if signer is not None:
        check_head(connection.execute(sa.select(HEAD)).one(), signer)


def _find_problem(connection: Connection, head: ChainHead) -> str:
    newest = connection.execute(sa.select(sa.func.max(ENTRIES.c.sequence))).scalar() or 0
    if newest != head.sequence:
        return f"it states {head.sequence} entries, and the newest one is {newest}"
    problem = verify_entry(connection, newest).problem if newest else ""
    return problem or _find_row_problem(connection, head.rows_number, head.rows_hash)


def _find_row_problem(connection: Connection, number: int, head: bytes) -> str:
    newest = sa.select(ROW_CHANGES).order_by(ROW_CHANGES.c.number.desc()).limit(2)
    rows = connection.execute(newest).all()
    before = rows[1].hash if len(rows) > 1 else GENESIS
    found, stated = (rows[0].number, rows[0].hash) if rows else (0, GENESIS)
    with contextlib.suppress(TypeError):
        if (found, stated) == (number, head) and (not rows or link_hash(before, found, rows[0].content) == stated):
            return ""
    return f"row change {number} is missing, or is not what was written"
