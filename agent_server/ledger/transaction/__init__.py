"""One transaction of the ledger: the lock on the head of the chain, and what a group of writes reads and appends."""

from agent_server.ledger.transaction.head import ForeignHead, check_head, sign_head
from agent_server.ledger.transaction.history_counters import HistoryCounters, digest_of
from agent_server.ledger.transaction.revisions import Revision
from agent_server.ledger.transaction.transaction import LedgerTransaction, Write

__all__ = [
    "ForeignHead", "HistoryCounters", "LedgerTransaction", "Revision", "Write", "check_head", "digest_of", "sign_head"
]  # fmt: skip
