"""Changes no table, but keeps older programs away.

Decisions may have no `memory_kept` from now on, without which older programs compute another history. Their agents lock
only the head of the chain, which newer ones take last.
"""

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    """Change nothing."""
