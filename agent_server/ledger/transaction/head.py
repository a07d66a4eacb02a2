"""The head of the ledger: one row with the latest link of both chains, and their signature. Writers lock it."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.engine import LedgerError
from agent_server.ledger.chain import Signer, Unsigned, signed_head
from agent_server.ledger.schema import HEAD

_HEAD = sa.select(HEAD).with_for_update()


class ForeignHead(LedgerError):
    """The head of the chain is not signed by this process's key. The message says what to do."""


def lock_head(connection: Connection) -> Any:
    """Return the head's row, locked until the transaction ends."""
    return connection.execute(_HEAD).one()


def check_head(head: Any, signer: Signer) -> None:
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
    signature = signer.sign(_signed_content(lock_head(connection)))
    connection.execute(HEAD.update().values(signature=signature))


def _signed_content(head: Any) -> bytes:
    return signed_head(head.sequence, head.hash, head.rows_number, head.rows_hash)
