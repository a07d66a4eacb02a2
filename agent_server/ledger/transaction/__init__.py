"""One transaction of the ledger: its locks, and what a group of writes reads and appends."""

from agent_server.ledger.transaction.concurrent_commit import NOT_RUN, ConcurrentCommit
from agent_server.ledger.transaction.head import ForeignHead, check_head, lock_ledger, sign_head
from agent_server.ledger.transaction.history_counters import HistoryCounters, digest_of
from agent_server.ledger.transaction.revisions import Revision
from agent_server.ledger.transaction.transaction import LedgerTransaction, Write

__all__ = [
    "NOT_RUN", "ConcurrentCommit", "ForeignHead", "HistoryCounters", "LedgerTransaction", "Revision", "Write", "check_head",
    "digest_of", "lock_ledger", "sign_head",
]  # fmt: skip
