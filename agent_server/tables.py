"""All tables of the ledger's database. Import METADATA from here if it must contain every table."""

from typing import Final

import sqlalchemy as sa

from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.ledger.schema import METADATA, OUTCOMES

PROTECTED: Final[tuple[sa.Table, ...]] = (CASES, CASE_EVENTS, OUTCOMES)
"""Tables whose rows, with all columns, are covered by the hash chain. A new column needs a default for old rows."""

__all__ = ["METADATA", "PROTECTED"]
