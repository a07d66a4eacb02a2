"""Remembering an order and reading its past, in one step: of two orders of one device at once, one sees the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent_server.history_store.statements import AMOUNTS, FOLDED_PREFIX, UNITS, statement
from agent_server.ledger.attempts import content_of, is_same, take_place, texts_of
from agent_server.ledger.recording import HistoryPosition, RecordedDecision, find_recorded
from agent_server.ledger.records import content_digest
from agent_server.ledger.schema import ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, Definition, Kind, is_known
from history.replay import Value, days_since, mean_amount


@dataclass(frozen=True)
class HistoryFeatures:
    """What memory knows of an order that was not decided before: its place there, and the fields that it can fill."""

    position: HistoryPosition
    values: dict[str, Value]


class RecordAttempt:
    """Remembers an order, and gives what is known of its past; or the answer, where the same order was decided before.

    Of those that come at once all are remembered first, and then each sees the ones before it.
    """

    relaxed = True
    """It need not be on disk before the decision is, which is written behind it."""

    def __init__(self, order: Transaction) -> None:
        self.transaction_id = order.transaction_id
        self._order, self._digest, self._texts = order, content_digest(order), texts_of(order)
        self._attempt: dict[str, Any] = {}
        self._content: dict[str, Any] = {}

    def enter(self, tx: LedgerTransaction) -> bool:
        """Remember the order, where nothing was decided on it yet; whether that is so."""
        self._attempt = {}  # a group that failed is tried again
        if tx.revisions(self.transaction_id):
            return False
        self._enter(tx)
        return True

    def __call__(self, tx: LedgerTransaction) -> RecordedDecision | HistoryFeatures:
        """Give what is known."""
        if not self._attempt:
            before = find_recorded(tx, self.transaction_id, self._digest)
            if before is not None:
                return before
            self._enter(tx)
        own = self._place(tx)
        return HistoryFeatures(HistoryPosition(own, self._attempt["number"]), self._read(tx, own))

    def _read(self, tx: LedgerTransaction, own: int) -> dict[str, Value]:
        """What attempts before this one say of the order; `own` is the number of its own attempt, which is left out."""
        order, attempt = self._order, self._attempt
        number, at = attempt["number"], attempt["at"]
        opened = _opened(order)
        known = tuple(
            definition
            for definition in DEFINITIONS
            if not order.HasField(definition.name)
            and is_known(definition, at, tx.memory_since, opened, self._texts, tx.folded_until)
        )
        row = tx.run(statement(known), attempt | {"before": number, "own": own})
        return _values(known, row, at)

    def _place(self, tx: LedgerTransaction) -> int:
        """Take the order's place in history; the number of the attempt that has it.

        Asked again before anything was decided, the same content keeps its attempt, and sees what came since.
        """
        number, before = self._attempt["number"], tx.place_of(self.transaction_id)
        if before is not None and not tx.revisions(self.transaction_id) and is_same(tx, before, self._content):
            tx.execute(ATTEMPTS.delete().where(ATTEMPTS.c.number == number))
            return before
        take_place(tx, self.transaction_id, number)
        return int(number)

    def _enter(self, tx: LedgerTransaction) -> None:
        tx.place_of(self.transaction_id)  # as it is without this attempt
        self._content = content_of(self._order, tx.memory_key)
        self._attempt = {**self._content, "number": tx.next_attempt(), "counts": True}
        tx.insert(ATTEMPTS, self._attempt)


class PreviewHistory(RecordAttempt):
    """Reads what history knows of an order without remembering it; for an order that was decided before too."""

    def enter(self, tx: LedgerTransaction) -> bool:
        """Remember nothing."""
        return False

    def __call__(self, tx: LedgerTransaction) -> HistoryFeatures:
        """Give what is known."""
        self._content = content_of(self._order, tx.memory_key)
        self._attempt = {**self._content, "number": tx.attempts + 1, "counts": True}
        own = tx.place_of(self.transaction_id) or tx.attempts + 1
        return HistoryFeatures(HistoryPosition(), self._read(tx, own))


def _opened(order: Transaction) -> int | None:
    """When the account was opened, as far as the order says."""
    if order.HasField("account_created_date"):
        return order.account_created_date.seconds
    return order.timestamp.seconds - order.account_age_days * DAY if order.HasField("account_age_days") else None


def _values(known: Sequence[Definition], row: Any, at: int) -> dict[str, Value]:
    return {definition.name: _value(definition, row, at) for definition in known}


def _value(definition: Definition, row: Any, at: int) -> Value:
    """A field, from what statements count of attempts and what was folded of an account's."""
    name, kind, whole = definition.name, definition.kind, definition.window is None
    if kind is Kind.MEAN_AMOUNT:
        units = int(row[name + UNITS] or 0) + (row[FOLDED_PREFIX + "units"] or 0)
        return mean_amount(units, row[name + AMOUNTS] + (row[FOLDED_PREFIX + "amounts"] or 0))
    if kind is Kind.DAYS_SINCE_FIRST:
        firsts = [moment for moment in (row[name], row[FOLDED_PREFIX + "first"]) if moment is not None]
        return days_since(min(firsts), at) if firsts else 0
    if kind is Kind.NEW:
        return not row[name] and (not whole or row[FOLDED_PREFIX + "device"] is None)
    if kind is Kind.ORDERS and whole:
        return int(row[name]) + (row[FOLDED_PREFIX + "orders"] or 0)
    return int(row[name]) + int(kind is Kind.ATTEMPTS and definition.itself)
