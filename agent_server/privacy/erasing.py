"""Erases the data of persons. The chain stays valid: an entry names the erased decisions."""

import uuid
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from agent_server.cases.golden_copies import copies_of, delete_origins
from agent_server.cases.lifecycle import close_unresolved
from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.ledger.attempts import EMPTY_ATTEMPT, digests
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
"""Decisions that are read or erased at once, so that other work is not held up."""
_EMPTY_CASE: Final = {"note": "", "reason_code": "", "expected_loss": 0.0, "urgency": CASES.c.opened_at}
"""What a case loses with its order. Urgency depends on the amount: without one it is the time of opening."""


@dataclass(frozen=True)
class ErasureResult:
    """Numbers of what was erased: decisions, cases and outcomes on them, attempts in history, and orders in totals."""

    decisions: int = 0
    cases: int = 0
    outcomes: int = 0
    remembered: int = 0
    folded: int = 0
    more: bool = False
    """Whether more is left than CHUNK decisions."""

    def __bool__(self) -> bool:
        """Whether anything was erased."""
        return any((self.decisions, self.cases, self.outcomes, self.remembered, self.folded))

    def __add__(self, other: "ErasureResult") -> "ErasureResult":
        """Return the sum of two results; `more` is that of the latter."""
        return ErasureResult(
            self.decisions + other.decisions, self.cases + other.cases, self.outcomes + other.outcomes,
            self.remembered + other.remembered, self.folded + other.folded, other.more,
        )  # fmt: skip


class Erase:
    """Erases up to CHUNK payloads: those of a person, or those of decisions before a moment."""

    def __init__(self, *, user_id: str = "", before: int | None = None) -> None:
        self._user_id, self._before = user_id, before

    def __call__(self, tx: LedgerTransaction) -> ErasureResult:
        """Erase, append an entry that names the decisions, and request the removal of the bytes."""
        rows = tx.execute(self._decisions(tx).order_by(PAYLOADS.c.sequence).limit(CHUNK)).all()
        remembered = folded = 0
        if len(rows) < CHUNK:  # the last ones
            remembered, folded = self._erase_history(tx)
        cases, outcomes = self._erase_decisions(tx, [row.sequence for row in rows]) if rows else (0, 0)
        if rows:
            facts = ErasureFacts(decision_ids=[row.entry_id for row in rows]).SerializeToString()
            tx.append(Kind.ERASURE, uuid.uuid4().hex, tx.now, facts)
        erased = ErasureResult(len(rows), cases, outcomes, remembered, folded, more=len(rows) == CHUNK)
        if erased:
            tx.execute(request_removal())
        return erased

    def _erase_decisions(self, tx: LedgerTransaction, sequences: list[int]) -> tuple[int, int]:
        tx.execute(PAYLOADS.delete().where(PAYLOADS.c.sequence.in_(sequences)))
        delete_origins(tx, sequences)
        outcomes = tx.execute(OUTCOMES.delete().where(OUTCOMES.c.sequence.in_(sequences))).rowcount
        close_unresolved(tx, CASES.c.sequence.in_(sequences))
        case_ids = sa.select(CASES.c.case_id).where(CASES.c.sequence.in_(sequences))
        tx.execute(CASE_EVENTS.update().where(CASE_EVENTS.c.case_id.in_(case_ids)).values(text=""))
        emptied = CASES.update().where(CASES.c.sequence.in_(sequences)).values(_EMPTY_CASE)
        return tx.execute(emptied).rowcount, outcomes

    def _erase_history(self, tx: LedgerTransaction) -> tuple[int, int]:
        """Erase the person from history; return the number of attempts, and of orders in totals."""
        own = (ATTEMPTS.c.user_id.is_not(None), *self._matches(tx, ATTEMPTS.c.user_id, ATTEMPTS.c.at))
        attempts = tx.execute(ATTEMPTS.update().where(*own).values(EMPTY_ATTEMPT)).rowcount
        replaced = self._matches(tx, REPLACED_ATTEMPTS.c.user_id, REPLACED_ATTEMPTS.c.at)
        attempts += tx.execute(REPLACED_ATTEMPTS.delete().where(*replaced)).rowcount
        tx.reset_attempts()
        chosen = self._matches(tx, FOLDED.c.user_id, FOLDED.c.last)
        orders = int(
            tx.execute(sa.select(sa.func.coalesce(sa.func.sum(FOLDED.c.orders), 0)).where(*chosen)).scalar_one()
        )
        accounts = sa.select(FOLDED.c.user_id).where(*chosen)
        tx.execute(FOLDED_DEVICES.delete().where(FOLDED_DEVICES.c.user_id.in_(accounts)))
        accounts_erased = tx.execute(FOLDED.delete().where(*chosen)).rowcount
        if self._user_id:
            self._exclude_from_import(tx)
        return attempts, max(orders, accounts_erased)

    def _exclude_from_import(self, tx: LedgerTransaction) -> None:
        """Exclude the person from the rest of a running import."""
        if tx.execute(sa.select(MEMORY.c.importing_until)).scalar_one() <= tx.now // 1_000_000:
            return
        user = self._digest(tx)
        tx.execute(IMPORT_EXCLUSIONS.delete().where(IMPORT_EXCLUSIONS.c.user_id == user))
        tx.execute(IMPORT_EXCLUSIONS.insert().values(user_id=user))

    def _decisions(self, tx: LedgerTransaction) -> sa.Select[tuple[int, str]]:
        chosen = sa.select(PAYLOADS.c.sequence, ENTRIES.c.entry_id).join(
            ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence
        )
        if self._user_id:
            copies = PAYLOADS.c.sequence.in_(copies_of(self._digest(tx) or 0))
            chosen = chosen.where(sa.or_(PAYLOADS.c.user_id == self._user_id, copies))
        if self._before is not None:
            chosen = chosen.where(ENTRIES.c.at < self._before)
        return chosen

    def _matches(
        self, tx: LedgerTransaction, user: sa.Column[Any], time: sa.Column[Any]
    ) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on the user and the time of rows in history."""
        conditions: list[sa.ColumnElement[bool]] = []
        if self._user_id:
            conditions.append(user == self._digest(tx))
        if self._before is not None:
            conditions.append(time < self._before // 1_000_000)
        return conditions

    def _digest(self, tx: LedgerTransaction) -> int | None:
        return digests(tx.history.key, {"user": self._user_id})["user"]


def empty_erased_cases(tx: LedgerTransaction) -> int:
    """Empty up to CHUNK cases of erased orders, whose urgency earlier versions left in place; return their number."""
    left = sa.or_(CASES.c.urgency != CASES.c.opened_at, CASES.c.reason_code != "", CASES.c.note != "")
    has_order = sa.exists().where(PAYLOADS.c.sequence == CASES.c.sequence)
    case_ids = list(tx.execute(sa.select(CASES.c.case_id).where(~has_order, left).limit(CHUNK)).scalars())
    if case_ids:
        close_unresolved(tx, CASES.c.case_id.in_(case_ids))
        tx.execute(CASES.update().where(CASES.c.case_id.in_(case_ids)).values(_EMPTY_CASE))
        tx.execute(request_removal())
    return len(case_ids)
