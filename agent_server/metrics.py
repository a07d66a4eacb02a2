"""The agent's metrics beside those of its RPCs: decisions by kind and maker, and the ledger's writes.

`vouch_ledger_commits_total / vouch_ledger_writes_total` is syncs a write.
"""

from prometheus_client import Counter

from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb

DECISIONS = Counter("vouch_decisions", "Decisions kept", ["decision", "decision_maker"])
COMMITS = Counter("vouch_ledger_commits", "Transactions that were committed")
WRITES = Counter("vouch_ledger_writes", "Writes in them")
_CHILDREN = {
    (decision, maker): DECISIONS.labels(decision_name, maker_name)
    for decision_name, decision in short_names(pb.Decision.DESCRIPTOR).items()
    for maker_name, maker in short_names(pb.DecisionMaker.DESCRIPTOR).items()
}


def count(review: pb.ReviewResponse) -> None:
    """Count a decision."""
    _CHILDREN[review.decision, review.decision_maker].inc()
