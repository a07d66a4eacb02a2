"""From an order and its score to the answer."""

from agent_server.decisions.policy import Policy
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


def decide(
    policy: Policy, transaction: Transaction, prediction: PredictResponse | None, at: int = 0, bar: float = 0.0
) -> tuple[pb.ReviewResponse, cases.CaseReason]:
    """The answer for an order and its score (None where there is none), without ids, time and revision.

    `at` is the moment of the decision, in microseconds since 1970: rules may end; `bar` is what a mistake
    must cost for a person to look, where the score leaves it open. Beside it why a case is needed, where one is.
    """
    verdict = policy.evaluate(transaction, prediction, at, bar)
    answer = pb.ReviewResponse(
        transaction_id=transaction.transaction_id,
        decision=verdict.decision,
        decision_maker=verdict.maker,
        reasoning=verdict.reasoning,
        agent_analysis=verdict.analysis,
        policy_version=policy.version,
        degraded=prediction is None,
        matched_rules=verdict.matched,
        randomised_probability=verdict.randomised_probability,
    )
    if prediction is not None:
        answer.legitimacy_score = prediction.legitimacy_score
        answer.reasons.extend(prediction.reasons)
        answer.ml_prediction.CopyFrom(prediction)
        answer.ml_prediction.ClearField("reasons")
        answer.ml_prediction.ClearField("explanation")
    return answer, verdict.reason
