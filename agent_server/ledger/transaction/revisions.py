"""The decisions that the ledger already has on orders, read for many orders at once."""

from collections.abc import Iterable, KeysView, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.database.prepared import MAX_VALUES, Pending, PreparedLookup, Row
from agent_server.ledger.chain import Kind
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from generated.vouch.v1.agent_service_pb2 import DECISION_MAKER_HUMAN
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts

_REVISIONS: Final = PreparedLookup(
    lambda names: sa.select(
        PAYLOADS.c.transaction_id, PAYLOADS.c.sequence, PAYLOADS.c.content_digest, ENTRIES.c.entry_id, ENTRIES.c.facts,
        ENTRIES.c.kind,
    )
    .join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence)
    .where(PAYLOADS.c.transaction_id.in_(names))
    .order_by(PAYLOADS.c.sequence)
)  # fmt: skip


@dataclass(frozen=True)
class Revision:
    """A recorded decision on an order."""

    sequence: int
    decision_id: str
    content_digest: bytes
    revision: int
    memory_number: int
    """The number of the attempt that it decided; 0 for none."""
    by_person: bool = False
    """Whether a person made it."""


class Revisions:
    """The revisions of each order, read once for a transaction of the ledger. Golden orders are separate."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._decisions: dict[str, list[Revision]] = {}
        self._golden: dict[str, list[Revision]] = {}

    @property
    def transaction_ids(self) -> KeysView[str]:
        """The ids of the orders that were read."""
        return self._decisions.keys()

    def prefetch(self, transaction_ids: Iterable[str]) -> None:
        """Read the revisions of the orders that are not known yet, in one query."""
        unknown = [name for name in set(transaction_ids) if name not in self._decisions]
        for start in range(0, len(unknown), MAX_VALUES):
            self.send(unknown[start : start + MAX_VALUES])()

    def send(self, transaction_ids: Sequence[str]) -> Pending[None]:
        """Read the revisions of up to MAX_VALUES orders; return a function that waits for them."""
        pending = _REVISIONS.send(self._connection, transaction_ids)
        return lambda: self._add(transaction_ids, pending())

    def _add(self, transaction_ids: Iterable[str], rows: Iterable[Row]) -> None:
        self._decisions |= {name: [] for name in transaction_ids}
        self._golden |= {name: [] for name in transaction_ids}
        for name, sequence, digest, entry_id, written, kind in rows:
            facts = DecisionFacts.FromString(written)
            by_person = facts.decision_maker == DECISION_MAKER_HUMAN
            revision = Revision(sequence, entry_id, digest, facts.revision, facts.memory_number, by_person)
            self._of_kind(kind)[name].append(revision)

    def of(self, transaction_id: str, kind: Kind) -> list[Revision]:
        """Return the revisions of an order, oldest first. Callers that append a decision add it to the list."""
        if transaction_id not in self._decisions:
            self.prefetch((transaction_id,))
        return self._of_kind(kind)[transaction_id]

    def _of_kind(self, kind: int) -> dict[str, list[Revision]]:
        return self._golden if kind == Kind.GOLDEN else self._decisions
