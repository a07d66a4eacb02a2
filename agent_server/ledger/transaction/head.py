"""The head of the ledger: one row with the latest link of both chains, and their signature. Writers lock it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.engine import LedgerError
from agent_server.database.prepared import Prepared, PreparedWrite, run_on_driver
from agent_server.ledger.chain import NOTHING, Signer, Unsigned, signed_head
from agent_server.ledger.schema import HEAD

_COLUMNS: Final = ("sequence", "hash", "rows_number", "rows_hash", "signature")
_READ: Final = Prepared(sa.select(*(HEAD.c[name] for name in _COLUMNS)).with_for_update())
_WRITE: Final = PreparedWrite(HEAD.update().values({name: sa.bindparam(f"new_{name}") for name in _COLUMNS}))
_ALONE: Final = "SELECT pg_advisory_xact_lock(7308604897)"
_SHARED: Final = """
SELECT pg_advisory_xact_lock_shared(7308604897), count(pg_advisory_xact_lock(order_digest))
FROM unnest(%s::bigint[]) AS order_digest
"""
"""The number is an arbitrary one for PostgreSQL's advisory lock on the writers of the ledger."""


class Head(NamedTuple):
    """The ends of both chains, and their signature."""

    sequence: int
    hash: bytes
    rows_number: int
    rows_hash: bytes
    signature: bytes = NOTHING

    def signed_by(self, signer: Signer) -> "Head":
        """Return it with a signature."""
        return self._replace(signature=signer.sign(_signed_content(self)))


class ForeignHead(LedgerError):
    """The head of the chain is not signed by this process's key. The message says what to do."""


def lock_ledger(connection: Connection) -> None:
    """Lock out everything else that writes to the ledger until the transaction ends. SQLite does so anyway.

    Take this lock before any other, so that no two writers wait for each other.
    """
    if connection.dialect.name == "postgresql":
        run_on_driver(connection, _ALONE, lambda driver: driver.execute(_ALONE))


def share_ledger(connection: Connection, orders: Sequence[int]) -> None:
    """Lock out `lock_ledger`, and others that share the ledger from these orders, until the transaction ends.

    `orders` are digests in ascending order, so that no two transactions wait for each other. PostgreSQL only.
    """
    run_on_driver(connection, _SHARED, lambda driver: driver.execute(_SHARED, (orders,)))


def lock_head(connection: Connection) -> Head:
    """Return the head, locked until the transaction ends. Writers call `lock_ledger` or `share_ledger` before."""
    return Head(**_READ(connection))


def write_head(connection: Connection, head: Head) -> None:
    """Write the head."""
    _WRITE(connection, [{f"new_{name}": value for name, value in head._asdict().items()}])


def check_head(head: Head | sa.Row[Any], signer: Signer) -> None:
    """Raise ForeignHead if the head does not have the signer's signature.

    An append to such a ledger would sign what someone without the key did to it.
    """
    if (head.sequence or head.rows_number) and not signer.fits(head.signature, _signed_content(head)):
        raise ForeignHead(
            "the head of the ledger is not signed by VOUCH_AGENT_LEDGER_KEY; verify it, then sign it by `vouch audit sign`"
            if not isinstance(signer, Unsigned)
            else "the ledger is signed; set VOUCH_AGENT_LEDGER_KEY, since only its key may append to it"
        )


def sign_head(connection: Connection, signer: Signer) -> None:
    """Sign the current head of the chain, within the connection's transaction."""
    write_head(connection, lock_head(connection).signed_by(signer))


def _signed_content(head: Head | sa.Row[Any]) -> bytes:
    return signed_head(head.sequence, head.hash, head.rows_number, head.rows_hash)
