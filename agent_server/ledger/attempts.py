"""The attempts of orders in history: one attempt per order, however many requests arrive at once.

Each order has one attempt: that of the content that arrived or was decided last. A replaced attempt loses its content,
and gets it back if it is decided after all. So an order counts once from its first attempt on, and with the content of
its latest decision as soon as no newer content waits for one.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.schema import ATTEMPTS, REPLACED_ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction, digest_of
from contract.fields import REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NEEDED, amount_units, key_text

EMPTY_ATTEMPT: dict[str, None] = dict.fromkeys(("transaction_id", *NEEDED, "amount"))
"""What a replaced or erased attempt loses: everything but its number and its time."""
_COLUMNS = ("number", "transaction_id", "at", *NEEDED, "amount")


def digests(key: bytes, texts: Mapping[str, str | None]) -> dict[str, int | None]:
    """Return keyed digests of texts, which history stores instead; None for an unknown text."""
    return {name: digest_of(key, text) if text else None for name, text in texts.items()}


def texts_of(order: Transaction) -> dict[str, str | None]:
    """Return the texts of an order that history uses as keys."""
    texts = {name: getattr(order, name) if name in REQUIRED or order.HasField(name) else None for name in NEEDED}
    return {name: key_text(name, text) for name, text in texts.items()}


def content_of(order: Transaction, key: bytes, texts: Mapping[str, str | None] | None = None) -> dict[str, Any]:
    """Return the columns of an attempt that come from its order. `texts` are those of `texts_of`, if known."""
    amount = amount_units(order.order_amount) if order.HasField("order_amount") else None
    texts = {"transaction_id": order.transaction_id, **(texts_of(order) if texts is None else texts)}
    return {"at": order.timestamp.seconds, "amount": amount, **digests(key, texts)}


def has_content(tx: LedgerTransaction, number: int, content: Mapping[str, Any]) -> bool:
    """Return whether an attempt has this content."""
    row = tx.execute(sa.select(ATTEMPTS).where(ATTEMPTS.c.number == number)).one()._mapping
    return all(row[name] == value for name, value in content.items())


def make_current(tx: LedgerTransaction, order_id: str, number: int) -> None:
    """Make a new attempt the only one of its order."""
    before = tx.attempt_of(order_id)
    if before is not None:
        _empty_replaced(tx, order_id, before, number)
    elif _is_compacted(tx, order_id):  # the order is in the totals already
        tx.execute(ATTEMPTS.update().where(ATTEMPTS.c.number == number).values(EMPTY_ATTEMPT))
        return
    tx.set_attempt(order_id, number)


def apply_decision(tx: LedgerTransaction, order: Transaction, number: int, *, denied: bool, again: bool) -> None:
    """Record a decision on an attempt. It becomes the order's attempt, and counts as an order unless it is denied.

    `again` says that it is not the order's first decision.
    """
    before = tx.attempt_of(order.transaction_id)
    if before == number:
        if denied or again:
            tx.set_counts(number, counts=not denied)
    elif not _is_compacted(tx, order.transaction_id):
        if before is not None:
            _empty_replaced(tx, order.transaction_id, before, number)
        own = ATTEMPTS.update().where(ATTEMPTS.c.number == number)
        if tx.execute(own.values(counts=not denied, **content_of(order, tx.history.key))).rowcount:
            tx.execute(REPLACED_ATTEMPTS.delete().where(REPLACED_ATTEMPTS.c.number == number))
            tx.set_attempt(order.transaction_id, number)


def _empty_replaced(tx: LedgerTransaction, order_id: str, before: int, number: int) -> None:
    """Empty the attempt `before` of an order, which another one replaces.

    A copy of an attempt that was never decided is stored for the ledger's export. Older attempts, which earlier
    versions left, are emptied too. Later attempts stay: the same write inserted them, and each of them replaces this
    one in order.
    """
    own_id = ATTEMPTS.c.transaction_id == digest_of(tx.history.key, order_id)
    others = [own_id, ATTEMPTS.c.number <= before, ATTEMPTS.c.number != number]
    decided = {revision.memory_number for revision in tx.revisions(order_id)}
    for row in tx.execute(sa.select(*(ATTEMPTS.c[name] for name in _COLUMNS)).where(*others)).all():
        if row.number not in decided:
            tx.execute(REPLACED_ATTEMPTS.insert().values(row._asdict()))
    tx.execute(ATTEMPTS.update().where(*others).values(EMPTY_ATTEMPT))


def _is_compacted(tx: LedgerTransaction, order_id: str) -> bool:
    """Return whether a decided attempt of an order is already in the totals of its account."""
    numbers = {revision.memory_number for revision in tx.revisions(order_id)} - {0}
    if not numbers:
        return False
    remaining = sa.select(sa.func.count()).select_from(ATTEMPTS).where(ATTEMPTS.c.number.in_(numbers))
    return int(tx.execute(remaining).scalar_one()) < len(numbers)
