"""The use case: a transaction in, a kept decision out."""

import uuid
from collections.abc import Callable

from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.ledger import Ledger, records
from agent_server.policy import Policy
from agent_server.scoring_client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


def now() -> Timestamp:
    """The time in UTC."""
    timestamp = Timestamp()
    timestamp.GetCurrentTime()
    return timestamp


class Reviewer:
    """Scores, decides, keeps; in this order, and nothing is answered that was not kept."""

    def __init__(
        self, scoring: ScoringClient, policy: Policy, ledger: Ledger, clock: Callable[[], Timestamp] = now
    ) -> None:
        self._scoring = scoring
        self.policy = policy
        self._ledger = ledger
        self._clock = clock

    async def review(
        self, transaction: Transaction, remaining: float | None, request_id: str = ""
    ) -> pb.ReviewResponse:
        """Decide one transaction within the caller's remaining seconds."""
        prediction = await self._scoring.predict(transaction, remaining, request_id)
        review = decide(self.policy, transaction, prediction)
        review.decision_id = uuid.uuid4().hex
        review.decided_at.CopyFrom(self._clock())
        case = None
        if review.decision == pb.DECISION_REVIEW:
            case = open_case(review)
            review.case_id = case.case_id
        await self._ledger.write(records.keep(review, transaction, case))
        return review


def decide(policy: Policy, transaction: Transaction, prediction: PredictResponse) -> pb.ReviewResponse:
    """The decision on an order and its score, without id, time and case. Pure."""
    verdict = policy.evaluate(transaction, prediction)
    kept = PredictResponse()
    kept.CopyFrom(prediction)
    kept.ClearField("reasons")
    kept.ClearField("explanation")
    return pb.ReviewResponse(
        transaction_id=prediction.transaction_id,
        decision=verdict.decision,
        legitimacy_score=prediction.legitimacy_score,
        decision_maker=verdict.maker,
        reasoning=verdict.reasoning,
        ml_prediction=kept,
        agent_analysis=verdict.analysis,
        reasons=prediction.reasons,
        policy_version=policy.version,
    )


def open_case(review: pb.ReviewResponse) -> cases.Case:
    """A new case for a decision that needs a person."""
    return cases.Case(
        case_id=uuid.uuid4().hex,
        transaction_id=review.transaction_id,
        status=cases.CASE_STATUS_OPEN,
        opened_at=review.decided_at,
        legitimacy_score=review.legitimacy_score,
        recommendation=review.agent_analysis.recommendation,
    )
