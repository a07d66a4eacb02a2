"""What `vouch audit verify` does not check: the tables that no commitment covers, each with the reason."""

from collections.abc import Mapping
from typing import Final

NOT_PROTECTED: Final[Mapping[str, str]] = {
    "attempts": "derived from orders; what a decision used of it is in the decision's own payload, which is protected",
    "replaced_attempts": "earlier contents of orders, for the export of history",
    "memory": "bookkeeping of attempts",
    "folded": "sums of old attempts",
    "folded_devices": "devices of old attempts",
    "golden_copies": "whose orders golden ones were made from, for erasures",
    "case_changes": "a queue of notifications for watchers, of which old ones are dropped",
    "import_exclusions": "digests of erased accounts, which no import brings back",
    "erasure_progress": "how far erasures are in the database's files",
    "proofs": "random bytes that health checks write",
    "alembic_version": "the version of the tables; a wrong one is refused, not read",
}
"""An edit of these tables changes no recorded decision, verdict or label, only later ones or what is shown."""
