"""Tables with personal data. Their files are rewritten after an erasure, the small ones first."""

from typing import Final

import sqlalchemy as sa

from agent_server.cases.tables import CASE_EVENTS, CASES, GOLDEN_COPIES
from agent_server.ledger.schema import (
    ATTEMPTS,
    FOLDED,
    FOLDED_DEVICES,
    IMPORT_EXCLUSIONS,
    OUTCOMES,
    PAYLOADS,
    REPLACED_ATTEMPTS,
)

PERSONAL_TABLES: Final[tuple[sa.Table, ...]] = (
    IMPORT_EXCLUSIONS, GOLDEN_COPIES, OUTCOMES, CASE_EVENTS, CASES, FOLDED_DEVICES, FOLDED, REPLACED_ATTEMPTS, ATTEMPTS,
    PAYLOADS,
)  # fmt: skip
"""A test fails for a table with personal columns that is not here."""
