"""What the ledger shows to Prometheus: vouch_ledger_commits_total / vouch_ledger_writes_total is syncs a write."""

from prometheus_client import Counter

COMMITS = Counter("vouch_ledger_commits", "Transactions that were committed")
WRITES = Counter("vouch_ledger_writes", "Writes in them")
