"""Builds the answer for an order from its score and the policy."""

from agent_server.conditions.policy_rules import NO_COUNTS, Counts
from agent_server.decisions.completion import counts_to_proto
from agent_server.decisions.policy import Policy
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import PredictResponse
from generated.vouch.v1.transaction_pb2 import Transaction


def decide(
    policy: Policy, transaction: Transaction, prediction: PredictResponse | None, at: int = 0, min_cost: float = 0.0,
    counts: Counts = NO_COUNTS,
) -> tuple[pb.ReviewResponse, cases.CaseReason]:  # fmt: skip
    """Return the answer for an order and its prediction (None if unscored), and the reason for a case if it needs one.

    The answer has no ids, time and revision yet. `at` is the time of the decision in microseconds since 1970, because
    rules may expire. `min_cost` is the expected cost of a mistake from which an uncertain order is sent to review.
    `counts` are the counts of history that rules read, where known.
    """
    verdict = policy.evaluate(transaction, prediction, at, min_cost, counts)
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
        history_counts=counts_to_proto(counts),
    )
    if prediction is not None:
        answer.legitimacy_score = prediction.legitimacy_score
        answer.reasons.extend(prediction.reasons)
        answer.ml_prediction.CopyFrom(prediction)
        answer.ml_prediction.ClearField("reasons")
        answer.ml_prediction.ClearField("explanation")
    return answer, verdict.reason
