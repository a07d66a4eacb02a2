"""Decisions to record in a ledger."""

import uuid
from collections.abc import Callable
from typing import Any

from agent_server.cases.lifecycle import NewCase
from agent_server.cases.recording import RecordDecision
from agent_server.database.clock import now
from agent_server.database.engine import writing
from agent_server.ledger import open_engine
from agent_server.ledger.chain import Unsigned
from agent_server.ledger.recording import DecisionContext
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse, Reason
from testing.inputs.orders import message

_AT_ONCE = 2000


def answer_for(
    transaction_id: str, decision: pb.Decision = pb.DECISION_REVIEW, score: float | None = 0.5
) -> pb.ReviewResponse:
    """Return an answer as the decider makes it, before it is recorded."""
    answer = pb.ReviewResponse(
        transaction_id=transaction_id,
        decision=decision,
        decision_maker=pb.DECISION_MAKER_REVIEW_REQUIRED,
        reasoning=f"because of {transaction_id}",
        reasons=[Reason(feature="email_domain_kind", field="email_domain", value="tempmail.net", contribution=-1.0)],
        policy_version="test",
        decision_id=uuid.uuid4().hex,
        decided_at=now(),
        degraded=score is None,
    )
    if score is not None:
        answer.legitimacy_score = score
        answer.ml_prediction.CopyFrom(PredictResponse(legitimacy_score=score, model_version="m1"))
    return answer


def new_decision(
    number: int | str, decision: pb.Decision = pb.DECISION_REVIEW, score: float | None = 0.5, **fields: Any
) -> RecordDecision:
    """Return a decision on the order of a number, ready to be written."""
    transaction_id = f"t{number}"
    return RecordDecision(
        message(transaction_id=transaction_id, **fields),
        answer_for(transaction_id, decision, score),
        DecisionContext("shop", f"request-{number}", "d" * 64),
        NewCase(uuid.uuid4().hex, cases.CASE_REASON_UNCERTAIN if score is not None else cases.CASE_REASON_UNSCORED),
    )


def append_decisions(url: str, records: int, made: Callable[[int], RecordDecision]) -> None:
    """Append `records` decisions to a ledger, each made from its number."""
    engine = open_engine(url)
    with writing(engine) as connection:
        for first in range(0, records, _AT_ONCE):
            writes = [made(number) for number in range(first, min(first + _AT_ONCE, records))]
            with connection.begin():
                group = LedgerTransaction(connection, Unsigned())
                group.prefetch_revisions(write.transaction_id for write in writes)
                for write in writes:
                    write(group)
                group.close()
    engine.dispose()
