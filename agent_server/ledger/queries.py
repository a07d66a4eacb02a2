"""What is written to the ledger and read from it, in messages."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.ledger.schema import CASES, DECISIONS, ORDERS
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.transaction_pb2 import Transaction


def keep(
    review: agent.ReviewResponse, transaction: Transaction, case: cases.Case | None
) -> Callable[[Connection], None]:
    """Write a decision, its order, and the case that hangs on it."""

    def work(connection: Connection) -> None:
        connection.execute(
            DECISIONS.insert().values(
                decision_id=review.decision_id,
                transaction_id=review.transaction_id,
                decided_at=review.decided_at.ToJsonString(),
                decision=review.decision,
                review=review.SerializeToString(),
            )
        )
        connection.execute(
            ORDERS.insert().values(decision_id=review.decision_id, transaction=transaction.SerializeToString())
        )
        if case is not None:
            connection.execute(
                CASES.insert().values(
                    case_id=case.case_id,
                    decision_id=review.decision_id,
                    status=case.status,
                    case=case.SerializeToString(),
                )
            )

    return work


def latest_review(transaction_id: str) -> Callable[[Connection], agent.ReviewResponse | None]:
    """Read the latest decision of a transaction."""

    def work(connection: Connection) -> agent.ReviewResponse | None:
        content = connection.execute(
            sa.select(DECISIONS.c.review)
            .where(DECISIONS.c.transaction_id == transaction_id)
            .order_by(DECISIONS.c.sequence.desc())
            .limit(1)
        ).scalar()
        return None if content is None else agent.ReviewResponse.FromString(content)

    return work


def case_page(
    status: int, before: int | None, size: int
) -> Callable[[Connection], tuple[list[cases.Case], int | None]]:
    """Read a page of cases, newest first, and the sequence number that the next page starts before."""

    def work(connection: Connection) -> tuple[list[cases.Case], int | None]:
        query = sa.select(CASES.c.sequence, CASES.c.case).order_by(CASES.c.sequence.desc()).limit(size + 1)
        if status:
            query = query.where(CASES.c.status == status)
        if before is not None:
            query = query.where(CASES.c.sequence < before)
        rows = connection.execute(query).all()
        page = [cases.Case.FromString(row.case) for row in rows[:size]]
        return page, rows[size - 1].sequence if len(rows) > size else None

    return work


def whole_case(case_id: str) -> Callable[[Connection], cases.GetCaseResponse | None]:
    """Read a case with its order and decision."""

    def work(connection: Connection) -> cases.GetCaseResponse | None:
        row = connection.execute(
            sa.select(CASES.c.case, ORDERS.c.transaction, DECISIONS.c.review)
            .join(DECISIONS, DECISIONS.c.decision_id == CASES.c.decision_id)
            .join(ORDERS, ORDERS.c.decision_id == CASES.c.decision_id, isouter=True)
            .where(CASES.c.case_id == case_id)
        ).first()
        if row is None:
            return None
        answer = cases.GetCaseResponse(
            case=cases.Case.FromString(row.case), review=agent.ReviewResponse.FromString(row.review)
        )
        if row.transaction is not None:  # absent once the person was erased
            answer.transaction.CopyFrom(Transaction.FromString(row.transaction))
        return answer

    return work
