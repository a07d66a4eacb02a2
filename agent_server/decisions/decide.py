"""From an order and its score to the answer."""

from agent_server.decisions.policy import Policy
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


def decide(policy: Policy, transaction: Transaction, prediction: PredictResponse | None) -> pb.ReviewResponse:
    """The decision on an order and its score, without id, time and case; without a score, where there is none."""
    verdict = policy.evaluate(transaction, prediction)
    review = pb.ReviewResponse(
        transaction_id=transaction.transaction_id,
        decision=verdict.decision,
        decision_maker=verdict.maker,
        reasoning=verdict.reasoning,
        agent_analysis=verdict.analysis,
        policy_version=policy.version,
    )
    if prediction is not None:
        review.legitimacy_score = prediction.legitimacy_score
        review.reasons.extend(prediction.reasons)
        review.ml_prediction.CopyFrom(prediction)
        review.ml_prediction.ClearField("reasons")
        review.ml_prediction.ClearField("explanation")
    return review


def open_case(review: pb.ReviewResponse, case_id: str) -> cases.Case:
    """A new case for a decision that needs a person."""
    return cases.Case(
        case_id=case_id,
        transaction_id=review.transaction_id,
        status=cases.CASE_STATUS_OPEN,
        opened_at=review.decided_at,
        legitimacy_score=review.legitimacy_score,
        recommendation=review.agent_analysis.recommendation,
    )
