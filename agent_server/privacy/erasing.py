"""Erasing persons. The chain stays valid: an entry says which decisions were erased."""

import uuid
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from agent_server.cases.golden_copies import copies_of, forget_origins
from agent_server.cases.lifecycle import close_unresolved
from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.ledger.attempts import FORGOTTEN, digests
from agent_server.ledger.chain import Kind
from agent_server.ledger.removal import request_removal
from agent_server.ledger.schema import (
    ATTEMPTS,
    ENTRIES,
    FOLDED,
    FOLDED_DEVICES,
    IMPORT_EXCLUSIONS,
    MEMORY,
    OUTCOMES,
    PAYLOADS,
    REPLACED_ATTEMPTS,
)
from agent_server.ledger.transaction import LedgerTransaction
from generated.vouch.v1.ledger_entry_pb2 import ErasureFacts

CHUNK = 500
"""Decisions that are read or erased at once, so that others are not kept waiting."""
_EMPTIED: Final = {"note": "", "reason_code": "", "expected_loss": 0.0, "urgency": CASES.c.opened_at}
"""What a case loses with its order. Urgency is computed from the amount: without one it is the time of opening."""


@dataclass(frozen=True)
class Erased:
    """What was removed: decisions whose orders were, cases and outcomes on them, orders in memory, and orders in totals."""

    decisions: int = 0
    cases: int = 0
    outcomes: int = 0
    remembered: int = 0
    folded: int = 0
    more: bool = False
    """Whether more is left than is erased at once."""

    def __bool__(self) -> bool:
        """Whether anything was removed."""
        return any((self.decisions, self.cases, self.outcomes, self.remembered, self.folded))

    def __add__(self, other: "Erased") -> "Erased":
        """The sum of two; `more` is that of the latter."""
        return Erased(
            self.decisions + other.decisions, self.cases + other.cases, self.outcomes + other.outcomes,
            self.remembered + other.remembered, self.folded + other.folded, other.more,
        )  # fmt: skip


class Erase:
    """Erases up to CHUNK payloads: those of a person, or those of decisions before a moment."""

    def __init__(self, *, user_id: str = "", before: int | None = None) -> None:
        self._user_id, self._before = user_id, before

    def __call__(self, tx: LedgerTransaction) -> Erased:
        """Erase, record what was, and ask for the removal of the bytes."""
        rows = tx.execute(self._chosen(tx).order_by(PAYLOADS.c.sequence).limit(CHUNK)).all()
        remembered = folded = 0
        if len(rows) < CHUNK:  # the last ones
            remembered, folded = self._forget(tx)
        cases, outcomes = self._erase_decisions(tx, [row.sequence for row in rows]) if rows else (0, 0)
        if rows:
            facts = ErasureFacts(decision_ids=[row.entry_id for row in rows]).SerializeToString()
            tx.append(Kind.ERASURE, uuid.uuid4().hex, tx.now, facts)
        erased = Erased(len(rows), cases, outcomes, remembered, folded, more=len(rows) == CHUNK)
        if erased:
            tx.execute(request_removal())
        return erased

    def _erase_decisions(self, tx: LedgerTransaction, sequences: list[int]) -> tuple[int, int]:
        tx.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
        forget_origins(tx, sequences)
        outcomes = tx.execute(OUTCOMES.delete().where(OUTCOMES.c.sequence.in_(sequences))).rowcount
        close_unresolved(tx, CASES.c.sequence.in_(sequences))
        hanging = sa.select(CASES.c.case_id).where(CASES.c.sequence.in_(sequences))
        tx.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(hanging)).values(text=""))
        emptied = CASES.update().where(CASES.c.sequence.in_(sequences)).values(_EMPTIED)
        return tx.execute(emptied).rowcount, outcomes

    def _forget(self, tx: LedgerTransaction) -> tuple[int, int]:
        """Remove what memory holds; return how many orders that were, and how many in totals."""
        remembered = tx.execute(ATTEMPTS.update().where(*self._remembered(tx)).values(FORGOTTEN)).rowcount
        remembered += tx.execute(REPLACED_ATTEMPTS.delete().where(*self._replaced(tx))).rowcount
        tx.forget_places()
        chosen = self._folded(tx)
        orders = int(
            tx.execute(sa.select(sa.func.coalesce(sa.func.sum(FOLDED.c.orders), 0)).where(*chosen)).scalar_one()
        )
        accounts = sa.select(FOLDED.c.user_id).where(*chosen)
        tx.execute(FOLDED_DEVICES.delete().where(FOLDED_DEVICES.c.user_id.in_(accounts)))
        accounts_erased = tx.execute(FOLDED.delete().where(*chosen)).rowcount
        if self._user_id:
            self._exclude_from_import(tx)
        return remembered, max(orders, accounts_erased)

    def _exclude_from_import(self, tx: LedgerTransaction) -> None:
        """Keep the rest of an import that runs from bringing the person back."""
        if tx.execute(sa.select(MEMORY.c.importing_until)).scalar_one() <= tx.now // 1_000_000:
            return
        user = digests(tx.memory_key, {"user": self._user_id})["user"]
        tx.execute(IMPORT_EXCLUSIONS.delete().where(IMPORT_EXCLUSIONS.c.user_id == user))
        tx.execute(IMPORT_EXCLUSIONS.insert().values(user_id=user))

    def _chosen(self, tx: LedgerTransaction) -> sa.Select[tuple[int, str]]:
        chosen = sa.select(PAYLOADS.c.sequence, ENTRIES.c.entry_id).join(
            ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence
        )
        if self._user_id:
            person = digests(tx.memory_key, {"user": self._user_id})["user"]
            copies = PAYLOADS.c.sequence.in_(copies_of(person or 0))
            chosen = chosen.where(sa.or_(PAYLOADS.c.user_id == self._user_id, copies))
        if self._before is not None:
            chosen = chosen.where(ENTRIES.c.at < self._before)
        return chosen

    def _replaced(self, tx: LedgerTransaction) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = []
        if self._user_id:
            chosen.append(REPLACED_ATTEMPTS.c.user_id == digests(tx.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(REPLACED_ATTEMPTS.c.at < self._before // 1_000_000)
        return chosen

    def _remembered(self, tx: LedgerTransaction) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = [ATTEMPTS.c.user_id.is_not(None)]
        if self._user_id:
            chosen.append(ATTEMPTS.c.user_id == digests(tx.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(ATTEMPTS.c.at < self._before // 1_000_000)
        return chosen

    def _folded(self, tx: LedgerTransaction) -> list[sa.ColumnElement[bool]]:
        chosen: list[sa.ColumnElement[bool]] = []
        if self._user_id:
            chosen.append(FOLDED.c.user_id == digests(tx.memory_key, {"user": self._user_id})["user"])
        if self._before is not None:
            chosen.append(FOLDED.c.last < self._before // 1_000_000)
        return chosen


def empty_erased_cases(tx: LedgerTransaction) -> int:
    """Empty up to CHUNK cases whose orders were erased by earlier versions, which left their urgency; return how many."""
    left = sa.or_(CASES.c.urgency != CASES.c.opened_at, CASES.c.reason_code != "", CASES.c.note != "")
    has_order = sa.exists().where(PAYLOADS.c.sequence == CASES.c.sequence)
    case_ids = list(tx.execute(sa.select(CASES.c.case_id).where(~has_order, left).limit(CHUNK)).scalars())
    if case_ids:
        close_unresolved(tx, CASES.c.case_id.in_(case_ids))
        tx.execute(CASES.update().where(CASES.c.case_id.in_(case_ids)).values(_EMPTIED))
        tx.execute(request_removal())
    return len(case_ids)
