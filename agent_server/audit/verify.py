"""Walks the chain and names the first entry that was changed."""

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from agent_server.audit.rows import verify_rows
from agent_server.ledger.chain import GENESIS, NOTHING, Kind, commit_to, entry_hash, signed_head
from agent_server.ledger.schema import ENTRIES, HEAD, PAYLOADS
from generated.vouch.v1.ledger_entry_pb2 import DecisionFacts, ErasureFacts

CHUNK = 5000
_COLUMNS = (
    ENTRIES.c.sequence, ENTRIES.c.kind, ENTRIES.c.entry_id, ENTRIES.c.at, ENTRIES.c.decision, ENTRIES.c.facts,
    ENTRIES.c.commitment, ENTRIES.c.hash, PAYLOADS.c.sequence.label("kept"), PAYLOADS.c.transaction_id,
    PAYLOADS.c.user_id, PAYLOADS.c.content_digest, PAYLOADS.c.salt, PAYLOADS.c.payload,
)  # fmt: skip
_ALL = sa.select(*_COLUMNS).join(PAYLOADS, PAYLOADS.c.sequence == ENTRIES.c.sequence, isouter=True)
_ODD_TYPES = (struct.error, TypeError, AttributeError, OverflowError)
"""SQLite stores values of any type in any column: an edit may leave one that cannot be hashed."""
Fits = Callable[[bytes, bytes], bool]
"""Returns whether a signature fits the signed content."""


@dataclass(frozen=True)
class ChainHead:
    """The head of the chain as the ledger states it."""

    sequence: int
    hash: bytes
    signature: bytes
    rows_number: int = 0
    rows_hash: bytes = GENESIS

    @property
    def signed(self) -> bytes:
        """The content that is signed."""
        return signed_head(self.sequence, self.hash, self.rows_number, self.rows_hash)

    @property
    def digest(self) -> bytes:
        """A digest to store elsewhere, with which a later state can be compared, 32 bytes."""
        return hashlib.sha256(self.signed).digest()


@dataclass(frozen=True)
class Verification:
    """The result: the number of valid entries, and what is wrong with the first invalid one; empty if all are valid.

    `rows` counts the rows of cases, case events and outcomes, and `end` is the digest of the ledger's head.
    """

    entries: int
    broken: str = ""
    signed: bool = False
    rows: int = 0
    links: int = 0
    head: bytes = NOTHING


@dataclass(frozen=True)
class Anchor:
    """A head that the ledger had earlier, as `vouch audit verify` printed it."""

    entries: int
    rows: int
    digest: bytes


def rows_of(connection: Connection) -> Iterator[Any]:
    """Yield all entries in order, each with its payload, in constant memory."""
    return _rows_of(connection, _ALL)


def _numbered_rows_of(connection: Connection) -> Iterator[Any]:
    """As `rows_of`, each with the number of its attempt in history."""
    return _rows_of(connection, _ALL.add_columns(PAYLOADS.c.memory_number))


def _rows_of(connection: Connection, all_rows: sa.Select[Any]) -> Iterator[Any]:
    last = None
    while True:
        query = all_rows if last is None else all_rows.where(ENTRIES.c.sequence > last)
        rows = connection.execute(query.order_by(ENTRIES.c.sequence).limit(CHUNK)).all()
        yield from rows
        if len(rows) < CHUNK:
            return
        last = rows[-1].sequence


def verify_ledger(
    connection: Connection,
    fits: Fits | None,
    report: Callable[[int], None] = lambda entries: None,
    anchor: Anchor | None = None,
) -> Verification:
    """Verify all of a ledger in one snapshot: entries, their payloads, and the rows that verdicts and labels depend on.

    `anchor` is a head that it must have had.
    """
    head, hashes = read_head(connection), dict[int, bytes]()
    wanted = anchor.entries if anchor else 0
    verified = verify(_record_hash(_numbered_rows_of(connection), wanted, hashes), head, fits, report)
    if verified.broken or head is None:
        return verified
    stray = stray_payload(connection)
    if stray is not None:
        return replace(verified, broken=f"entry {stray} is missing: there is an order without a decision")
    rows = verify_rows(connection, head.rows_number, head.rows_hash, anchor.rows if anchor else 0)
    broken = rows.broken
    if not broken and anchor is not None:
        then = signed_head(wanted, hashes.get(wanted, GENESIS), anchor.rows, rows.requested or GENESIS)
        if hashlib.sha256(then).digest() != anchor.digest:
            broken = f"the ledger never had the head {anchor.entries}:{anchor.rows}: it was rewritten since, or cut"
    return replace(verified, broken=broken, rows=rows.rows, links=head.rows_number, head=head.digest)


def _record_hash(rows: Iterator[Any], sequence: int, hashes: dict[int, bytes]) -> Iterator[Any]:
    for row in rows:
        if row.sequence == sequence:
            hashes[sequence] = row.hash
        yield row


def read_head(connection: Connection) -> ChainHead | None:
    """Return the stated head; None if it is missing or invalid."""
    columns = (HEAD.c.sequence, HEAD.c.hash, HEAD.c.signature, HEAD.c.rows_number, HEAD.c.rows_hash)
    rows = connection.execute(sa.select(*columns)).all()
    whole = len(rows) == 1 and list(map(type, rows[0])) == [int, bytes, bytes, int, bytes]
    return ChainHead(*rows[0]) if whole else None


def stray_payload(connection: Connection) -> int | None:
    """Return the sequence number of the first payload without a decision; None for none."""
    query = sa.select(PAYLOADS.c.sequence).join(ENTRIES, ENTRIES.c.sequence == PAYLOADS.c.sequence, isouter=True)
    bad = sa.or_(ENTRIES.c.sequence.is_(None), ENTRIES.c.kind == int(Kind.ERASURE))
    return connection.execute(query.where(bad).order_by(PAYLOADS.c.sequence).limit(1)).scalar()


@dataclass(frozen=True)
class EntryCheck:
    """An entry and its neighbours: the hash before it, its own hash, the number of entries, and what is wrong."""

    before: bytes
    hash: bytes
    entries: int
    problem: str = ""


def verify_entry(connection: Connection, sequence: int) -> EntryCheck:
    """Check an entry: recompute its hash, the commitment to its payload, and the hash of the entry after it, if any."""
    near = _ALL.where(ENTRIES.c.sequence.between(sequence - 1, sequence + 1)).order_by(ENTRIES.c.sequence)
    rows = {row.sequence: row for row in connection.execute(near)}
    head = read_head(connection)
    own, after = rows.get(sequence), rows.get(sequence + 1)
    before = GENESIS if sequence == 1 else rows[sequence - 1].hash if sequence - 1 in rows else NOTHING
    entries = head.sequence if head else 0
    if own is None or not before:
        return EntryCheck(before, NOTHING, entries, "the entry, or the one before it, is missing")
    problem = ""
    if _compute_hash(before, own) != own.hash:
        problem = "the entry was changed, or is not the one that was written there"
    elif own.kept is not None and _compute_commitment(own) != own.commitment:
        problem = "the order or the answer is not what was written"
    elif after is not None and _compute_hash(own.hash, after) != after.hash:
        problem = "the entry after it does not continue from it"
    elif after is None and (head is None or (head.sequence, head.hash) != (sequence, own.hash)):
        problem = "the chain was cut after it: the ledger states another head"
    return EntryCheck(before, own.hash, entries, problem)


def _compute_hash(before: bytes, row: Any) -> bytes:
    return entry_hash(before, row.sequence, row.kind, row.entry_id, row.at, row.decision, row.facts, row.commitment)


def _compute_commitment(row: Any) -> bytes:
    return commit_to(row.salt, row.transaction_id, row.user_id, row.content_digest, row.payload)


def verify(
    rows: Iterator[Any], head: ChainHead | None, fits: Fits | None, report: Callable[[int], None] = lambda entries: None
) -> Verification:
    """Verify entries in order. `fits` checks the signature of the head; without it, a cut chain cannot be detected.

    `report` is called regularly with the number of entries so far.
    """
    before, expected, missing = GENESIS, 1, dict[str, int]()
    erased: list[bytes] = []
    hash_of, commitment_of = entry_hash, commit_to
    for row in rows:
        sequence, kind, entry_id, at, decision, facts, commitment, stated, payload_sequence, *personal = row
        if sequence != expected:
            return Verification(expected - 1, f"entry {expected} is missing: after {expected - 1} comes {sequence}")
        try:
            computed = hash_of(before, sequence, kind, entry_id, at, decision, facts, commitment)
        except _ODD_TYPES:
            computed = NOTHING
        if computed != stated:
            return Verification(expected - 1, f"entry {sequence} was changed, or is not the one that was written there")
        if payload_sequence is not None:
            transaction_id, user_id, digest, salt, payload, *numbers = personal
            try:
                same = commitment_of(salt, transaction_id, user_id, digest, payload) == commitment
            except _ODD_TYPES:
                same = False
            if not same or (numbers and _memory_number(facts) != numbers[0]):
                return Verification(
                    expected - 1, f"entry {sequence} was changed: its order or answer is not what was written"
                )
        elif kind != Kind.ERASURE:
            missing[entry_id] = sequence
        else:
            erased.append(facts)
        before, expected = computed, expected + 1
        if not sequence % CHUNK:
            report(sequence)
    report(expected - 1)
    named = {name for content in erased for name in ErasureFacts.FromString(content).decision_ids}
    return _check_head(before, expected - 1, missing, named, head, fits)


def _memory_number(facts: bytes) -> int | None:
    return DecisionFacts.FromString(facts).memory_number or None


def _check_head(
    last: bytes, entries: int, missing: dict[str, int], erased: set[str], head: ChainHead | None, fits: Fits | None
) -> Verification:
    if head is None:
        return Verification(entries, f"entry {entries + 1} is missing: the ledger states no head")
    if head.sequence > entries:
        return Verification(
            entries, f"entry {entries + 1} is missing: the chain was cut, it ended with {head.sequence}"
        )
    lost = [sequence for entry_id, sequence in missing.items() if entry_id not in erased]
    if lost:
        return Verification(min(lost) - 1, f"entry {min(lost)} has lost its order and answer, and no erasure names it")
    if head.sequence < entries or head.hash != last:
        return Verification(head.sequence, f"entry {min(head.sequence + 1, entries)} was not written by the ledger")
    signed = head.signature != NOTHING
    if fits is not None and entries and not (signed and fits(head.signature, head.signed)):
        return Verification(entries - 1, f"entry {entries} is not the signed head of the chain")
    return Verification(entries, signed=signed)
