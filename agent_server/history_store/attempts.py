"""Records an order and reads its features in one step, so that of two concurrent orders one sees the other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agent_server.database.prepared import Pending
from agent_server.decisions.valuation import amount_of
from agent_server.history_store.statements import AMOUNTS, SEEN, TOTALS_PREFIX, UNITS, statement
from agent_server.ledger.attempts import content_of, has_content, make_current, texts_of
from agent_server.ledger.recording import HistoryPosition, RecordedDecision, find_recorded
from agent_server.ledger.records import content_digest
from agent_server.ledger.schema import ATTEMPTS
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import DAY, DEFINITIONS, Definition, Kind, is_known
from history.replay import Value, days_since, mean_amount


@dataclass(frozen=True)
class HistoryFeatures:
    """The features that history completes for an order that was not decided before, and the order's position there."""

    position: HistoryPosition
    values: dict[str, Value]
    counts: dict[str, int]
    """The known counts that rules of the policy read."""
    relaxed: ClassVar[bool] = True
    """It may be used before the attempt is on disk: the decision is written after it, and nobody else sees it."""


class _HistoryQuery:
    """Reads the features of an order, and the counts that rules of a policy read."""

    def __init__(
        self, order: Transaction, value: pb.OrderValue | None = None, counts: Sequence[Definition] = ()
    ) -> None:
        """`value` is that of an order in another currency than the base currency; `counts` are read besides features."""
        self.transaction_id, self._amount, self._counts = order.transaction_id, amount_of(order, value), counts
        self._order, self._texts = order, texts_of(order)
        self._attempt: dict[str, Any] = {}
        self._content: dict[str, Any] = {}

    def _send_query(self, tx: LedgerTransaction, own: int) -> Pending[tuple[dict[str, Value], dict[str, int], int]]:
        """Query features from the attempts before this one, without the order's own attempt `own`.

        The returned function returns them, the counts, and the number of entries in the chain that they reflect.
        """
        order, attempt = self._order, self._attempt
        number, at = attempt["number"], attempt["at"]
        opened = _account_opened(order)
        known = tuple(
            definition
            for definition in (*self._missing(), *self._counts)
            if is_known(definition, at, tx.history.since, opened, self._texts, tx.history.compacted_until)
        )
        pending = tx.send_prepared(statement(known), attempt | {"before": number, "own": own})

        def read() -> tuple[dict[str, Value], dict[str, int], int]:
            row = pending()
            values = _features(known, row, at)
            counts = {count.name: int(values.pop(count.name)) for count in self._counts if count.name in values}
            return values, counts, row[SEEN]

        return read

    def _missing(self) -> Iterable[Definition]:
        return (definition for definition in DEFINITIONS if not self._order.HasField(definition.name))


class RecordAttempt(_HistoryQuery):
    """Records an order and returns its features; or returns the answer, if the same order was decided before.

    Of concurrent orders all are recorded first. Then each sees the ones before it.
    """

    def __init__(
        self, order: Transaction, value: pb.OrderValue | None = None, counts: Sequence[Definition] = ()
    ) -> None:
        super().__init__(order, value, counts)
        self.digest = content_digest(order)

    def enter(self, tx: LedgerTransaction) -> bool:
        """Record the order if it has no decision yet; return whether it did."""
        self._attempt = {}  # a group that failed is run again
        if tx.revisions(self.transaction_id):
            return False
        self._insert_attempt(tx)
        return True

    def __call__(self, tx: LedgerTransaction) -> RecordedDecision | HistoryFeatures:
        """Return the features."""
        if not self._attempt:
            before = self.find_recorded(tx)
            if before is not None:
                return before
            self._insert_attempt(tx)
        return self.send_query(tx)()

    def find_recorded(self, tx: LedgerTransaction) -> RecordedDecision | None:
        """Return the answer if the same order was decided before."""
        return find_recorded(tx, self.transaction_id, self.digest)

    def send_query(self, tx: LedgerTransaction) -> Pending[HistoryFeatures]:
        """Send the query for the features; return a function that waits for them. The order was recorded before."""
        own = self._make_current(tx)
        pending, number = self._send_query(tx, own), int(self._attempt["number"])

        def read() -> HistoryFeatures:
            values, counts, seen = pending()
            return HistoryFeatures(HistoryPosition(own, number, seen), values, counts)

        return read

    def _make_current(self, tx: LedgerTransaction) -> int:
        """Make this the order's attempt; return the number of the attempt that is.

        If the same content arrives again before it is decided, it keeps its first attempt, and sees the attempts that
        came since.
        """
        number, before = self._attempt["number"], tx.attempt_of(self.transaction_id)
        if before is not None and not tx.revisions(self.transaction_id) and has_content(tx, before, self._content):
            tx.execute(ATTEMPTS.delete().where(ATTEMPTS.c.number == number))
            return before
        make_current(tx, self.transaction_id, number)
        return int(number)

    def _insert_attempt(self, tx: LedgerTransaction) -> None:
        tx.attempt_of(self.transaction_id)  # read before this attempt is inserted
        self._content = content_of(self._order, self._amount, tx.history.key, self._texts)
        self._attempt = {**self._content, "number": tx.history.next_attempt(), "counts": True}
        tx.insert(ATTEMPTS, self._attempt)


class PreviewHistory(_HistoryQuery):
    """Reads the features of an order without recording it, even if the order was decided before."""

    def __call__(self, tx: LedgerTransaction) -> HistoryFeatures:
        """Return the features."""
        self._content = content_of(self._order, self._amount, tx.history.key, self._texts)
        self._attempt = {**self._content, "number": tx.history.attempts + 1, "counts": True}
        own = tx.attempt_of(self.transaction_id) or tx.history.attempts + 1
        values, counts, _ = self._send_query(tx, own)()
        return HistoryFeatures(HistoryPosition(), values, counts)


def _account_opened(order: Transaction) -> int | None:
    """Return when the account was opened, in seconds since 1970; None if the order does not say."""
    if order.HasField("account_created_date"):
        return order.account_created_date.seconds
    return order.timestamp.seconds - order.account_age_days * DAY if order.HasField("account_age_days") else None


def _features(known: Sequence[Definition], row: Any, at: int) -> dict[str, Value]:
    return {definition.name: _feature(definition, row, at) for definition in known}


def _feature(definition: Definition, row: Any, at: int) -> Value:
    """Return a feature from counts over attempts and from the totals of the account's compacted attempts."""
    name, kind, whole = definition.name, definition.kind, definition.window is None
    if kind is Kind.MEAN_AMOUNT:
        units = int(row[name + UNITS] or 0) + (row[TOTALS_PREFIX + "units"] or 0)
        return mean_amount(units, row[name + AMOUNTS] + (row[TOTALS_PREFIX + "amounts"] or 0))
    if kind is Kind.DAYS_SINCE_FIRST:
        firsts = [moment for moment in (row[name], row[TOTALS_PREFIX + "first"]) if moment is not None]
        return days_since(min(firsts), at) if firsts else 0
    if kind is Kind.NEW:
        return not row[name] and (not whole or row[TOTALS_PREFIX + "device"] is None)
    if kind is Kind.ORDERS and whole:
        return int(row[name]) + (row[TOTALS_PREFIX + "orders"] or 0)
    return int(row[name]) + int(kind is Kind.ATTEMPTS and definition.itself)
