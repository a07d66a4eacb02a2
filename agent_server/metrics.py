"""The agent's own metrics: decisions by kind and maker, and writes to the ledger.

`vouch_ledger_syncs_total / vouch_ledger_writes_total` is the number of disk syncs per write.
"""

from prometheus_client import Counter

from contract.fields import short_names
from generated.vouch.v1 import agent_service_pb2 as pb

DECISIONS = Counter("vouch_decisions", "Decisions recorded", ["decision", "decision_maker"])
COMMITS = Counter("vouch_ledger_commits", "Committed transactions")
WRITES = Counter("vouch_ledger_writes", "Writes in committed transactions")
SYNCS = Counter("vouch_ledger_syncs", "Syncs of the database's log, each for all transactions that waited for it")
_CHILDREN = {
    (decision, maker): DECISIONS.labels(decision_name, maker_name)
    for decision_name, decision in short_names(pb.Decision.DESCRIPTOR).items()
    for maker_name, maker in short_names(pb.DecisionMaker.DESCRIPTOR).items()
}


def count_decision(review: pb.ReviewResponse) -> None:
    """Count a recorded decision."""
    _CHILDREN[review.decision, review.decision_maker].inc()
