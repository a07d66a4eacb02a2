"""What history keeps of each order that was asked about: one attempt per order, whatever arrives at once.

An order has one place: that of the content which arrived or was decided last. What was there before loses its place, and gets
it back if it is decided after all. So an order counts once from its first attempt on, and with the content of its latest
decision as soon as nothing newer waits for one.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from agent_server.ledger.schema import ATTEMPTS, REPLACED_ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction, digest_of
from contract.fields import REQUIRED
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NEEDED, amount_units, key_text

FORGOTTEN: dict[str, None] = dict.fromkeys(("transaction_id", *NEEDED, "amount"))
"""What an attempt loses that has no place any more, or whose person was erased: all but its number and its time."""
_KEPT = ("number", "transaction_id", "at", *NEEDED, "amount")


def digests(key: bytes, texts: Mapping[str, str | None]) -> dict[str, int | None]:
    """What history keeps instead of texts; None for what is unknown."""
    return {name: digest_of(key, text) if text else None for name, text in texts.items()}


def texts_of(order: Transaction) -> dict[str, str | None]:
    """The texts of an order that history looks at."""
    there = {name: getattr(order, name) if name in REQUIRED or order.HasField(name) else None for name in NEEDED}
    return {name: key_text(name, text) for name, text in there.items()}


def content_of(order: Transaction, key: bytes) -> dict[str, Any]:
    """The columns of an attempt that come from its order."""
    amount = amount_units(order.order_amount) if order.HasField("order_amount") else None
    texts = {"transaction_id": order.transaction_id, **texts_of(order)}
    return {"at": order.timestamp.seconds, "amount": amount, **digests(key, texts)}


def is_same(tx: LedgerTransaction, number: int, content: Mapping[str, Any]) -> bool:
    """Whether an attempt has a content."""
    row = tx.execute(sa.select(ATTEMPTS).where(ATTEMPTS.c.number == number)).one()._mapping
    return all(row[name] == value for name, value in content.items())


def take_place(tx: LedgerTransaction, order_id: str, number: int) -> None:
    """Let an attempt that was just entered be the order's only one."""
    before = tx.place_of(order_id)
    if before is not None:
        _clear_place(tx, order_id, before, number)
    elif _is_folded(tx, order_id):  # the order is in the totals already
        tx.execute(ATTEMPTS.update().where(ATTEMPTS.c.number == number).values(FORGOTTEN))
        return
    tx.set_place(order_id, number)


def decide(tx: LedgerTransaction, order: Transaction, number: int, *, denied: bool, again: bool) -> None:
    """Note a decision on an attempt: it has the order's place from now on, and counts as an order unless it is denied.

    `again` says that it is not the order's first decision.
    """
    own = ATTEMPTS.update().where(ATTEMPTS.c.number == number)
    before = tx.place_of(order.transaction_id)
    if before == number:
        if denied or again:
            tx.execute(own.values(counts=not denied))
    elif not _is_folded(tx, order.transaction_id):
        if before is not None:
            _clear_place(tx, order.transaction_id, before, number)
        if tx.execute(own.values(counts=not denied, **content_of(order, tx.memory_key))).rowcount:
            tx.execute(REPLACED_ATTEMPTS.delete().where(REPLACED_ATTEMPTS.c.number == number))
            tx.set_place(order.transaction_id, number)


def _clear_place(tx: LedgerTransaction, order_id: str, before: int, number: int) -> None:
    """Forget the attempt `before` that has an order's place, for another one.

    Of what was never decided on, the ledger's export keeps a copy. Older attempts go too: versions before this one left
    some. Later ones stay: they were entered by the same write, and their turn comes.
    """
    own_id = ATTEMPTS.c.transaction_id == digest_of(tx.memory_key, order_id)
    others = [own_id, ATTEMPTS.c.number <= before, ATTEMPTS.c.number != number]
    decided = {revision.memory_number for revision in tx.revisions(order_id)}
    for row in tx.execute(sa.select(*(ATTEMPTS.c[name] for name in _KEPT)).where(*others)).all():
        if row.number not in decided:
            tx.execute(REPLACED_ATTEMPTS.insert().values(row._asdict()))
    tx.execute(ATTEMPTS.update().where(*others).values(FORGOTTEN))


def _is_folded(tx: LedgerTransaction, order_id: str) -> bool:
    """Whether an attempt that was decided on is in the totals of its account."""
    numbers = {revision.memory_number for revision in tx.revisions(order_id)} - {0}
    if not numbers:
        return False
    there = sa.select(sa.func.count()).select_from(ATTEMPTS).where(ATTEMPTS.c.number.in_(numbers))
    return int(tx.execute(there).scalar_one()) < len(numbers)
