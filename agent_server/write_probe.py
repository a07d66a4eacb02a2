"""Health probe: checks that a review can be recorded now, by recording one and rolling it back."""

import time

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger.recording import DecisionContext, HistoryPosition
from agent_server.ledger.records import timestamp
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.rpc.call import new_id

_CALLER = "health"


class WriteProbe:
    """Records and rolls back an order that opens a case, a revision that closes it, and two undecided attempts.

    So it reads and writes every table that a review reads and writes.
    """

    def __init__(self, *, use_history: bool) -> None:
        self._use_history = use_history

    def __call__(self, tx: LedgerTransaction) -> None:
        """Record and roll back. Raises what a review would raise."""
        now = time.time_ns() // 1000
        order = Transaction(
            transaction_id=new_id(), timestamp=timestamp(now), user_id=new_id(), device_id=new_id(), card_id=new_id(),
            email_id=new_id(), phone_id=new_id(), shipping_address_id=new_id(),
            ip_address="192.0.2.1", account_created_date=timestamp(now), order_amount=1.0,
        )  # fmt: skip
        with tx.rolled_back() as trial:
            self._record(trial, order, pb.DECISION_REVIEW, now)
            order.order_amount = 2.0
            self._record(trial, order, pb.DECISION_APPROVE, now)
            for amount in (3.0, 4.0) if self._use_history else ():
                order.order_amount = amount
                _record_attempt(trial, order)

    def _record(self, tx: LedgerTransaction, order: Transaction, decision: pb.Decision, now: int) -> None:
        position = _record_attempt(tx, order) if self._use_history else HistoryPosition()
        answer = pb.ReviewResponse(
            transaction_id=order.transaction_id, decision=decision, decision_id=new_id(), decided_at=timestamp(now)
        )
        new_case = NewCase(new_id(), cases.CASE_REASON_UNCERTAIN)
        RecordDecision(order, answer, DecisionContext(_CALLER, "", "", position), new_case)(tx)


def _record_attempt(tx: LedgerTransaction, order: Transaction) -> HistoryPosition:
    record_attempt = RecordAttempt(order)
    record_attempt.enter(tx)
    history = record_attempt(tx)
    assert isinstance(history, HistoryFeatures)
    return history.position
