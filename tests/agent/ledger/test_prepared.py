"""Prepared statements: the same rows as the statements that they replace, and none built while orders are reviewed."""

import asyncio
from typing import Any

import sqlalchemy as sa

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.database.engine import snapshot
from agent_server.database.prepared import MAX_VALUES, PreparedLookup
from agent_server.history_store.attempts import HistoryFeatures, RecordAttempt
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.schema import ATTEMPTS, ENTRIES
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.rpc.call import new_id
from testing.inputs.orders import message
from testing.ledger.decisions import append_decisions, new_decision

DECISIONS = (pb.DECISION_APPROVE, pb.DECISION_DENY, pb.DECISION_REVIEW, pb.DECISION_DENY)


async def review_all(ledger: Ledger, names: list[str]) -> None:
    """Record attempts and decisions of some orders, as reviews do."""
    orders = [message(transaction_id=name, user_id=name) for name in names]
    for order in orders:
        order.ClearField("orders_last_24h")
    histories = await asyncio.gather(*(ledger.write(RecordAttempt(order)) for order in orders))
    writes = []
    for order, history, decision in zip(orders, histories, DECISIONS, strict=True):
        assert isinstance(history, HistoryFeatures)
        answer = pb.ReviewResponse(transaction_id=order.transaction_id, decision=decision, decision_id=new_id())
        answer.decided_at.GetCurrentTime()
        context = DecisionContext("shop", "", "", history.position)
        writes.append(RecordDecision(order, answer, context, NewCase(new_id(), cases.CASE_REASON_UNCERTAIN)))
    await asyncio.gather(*(ledger.write(write) for write in writes))


async def test_reviews_build_no_statement(ledger_url: str) -> None:
    """Whatever a review writes for a new order, no statement is built for it; and a denied order does not count."""
    engine = open_engine(ledger_url)
    ledger, built = Ledger(engine), list[Any]()
    sa.event.listen(engine, "before_execute", lambda *call: built.append(call[1]))
    names = [f"t{number}" for number in range(len(DECISIONS))]
    await review_all(ledger, names)
    assert not built
    counts = await ledger.read(
        lambda connection: connection.execute(sa.select(ATTEMPTS.c.counts).order_by(ATTEMPTS.c.number)).scalars().all()
    )
    assert built
    assert [bool(one) for one in counts] == [decision != pb.DECISION_DENY for decision in DECISIONS]
    ledger.close()


def test_a_lookup_finds_the_rows_of_all_values(ledger_url: str) -> None:
    """A lookup returns the rows of the values, for any number of them, whether or not they exist, each row once."""
    append_decisions(ledger_url, 5, lambda number: new_decision(str(number)))
    lookup = PreparedLookup(lambda values: sa.select(ENTRIES.c.sequence).where(ENTRIES.c.sequence.in_(values)))
    engine = open_engine(ledger_url)
    with snapshot(engine) as connection:
        for last in (0, 1, 2, 3, 5, 9, MAX_VALUES + 1):
            found = sorted(row[0] for row in lookup(connection, list(range(1, last + 1))))
            assert found == list(range(1, min(last, 5) + 1))
    engine.dispose()
