"""What the agent shows to Prometheus beside its RPCs: decisions by kind and maker."""

from prometheus_client import Counter

from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb

DECISIONS = Counter("vouch_decisions", "Decisions kept", ["decision", "decision_maker"])
_CHILDREN = {
    (decision, maker): DECISIONS.labels(decision_name, maker_name)
    for decision_name, decision in short_names(pb.Decision.DESCRIPTOR).items()
    for maker_name, maker in short_names(pb.DecisionMaker.DESCRIPTOR).items()
}


def count(review: pb.ReviewResponse) -> None:
    """Count a decision."""
    _CHILDREN[review.decision, review.decision_maker].inc()
