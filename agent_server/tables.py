"""All tables of the ledger's database. Import from here where all have to be known."""

from typing import Final

import sqlalchemy as sa

from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.ledger.schema import METADATA, OUTCOMES

PROTECTED: Final[tuple[sa.Table, ...]] = (CASES, CASE_EVENTS, OUTCOMES)
"""Tables whose rows are committed to, with all their columns. A later column needs a default that old rows have."""

__all__ = ["METADATA", "PROTECTED"]
