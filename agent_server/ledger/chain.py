"""The hash chain: every entry holds the hash of the one before it, and the head of the chain is signed. Pure.

    hash = SHA-256(hash before | numbers | lengths | entry id | facts | commitment)
    commitment = SHA-256(salt | lengths | transaction id | user id | content digest | payload)

The chain has no personal data, only a commitment to it. Once salt and payload are erased, the commitment reveals
nothing.
"""

import hashlib
import struct
from enum import IntEnum
from typing import Final, Protocol

GENESIS: Final = bytes(32)
NOTHING: Final = b""
SALT_BYTES: Final = 16
_NUMBERS = struct.Struct(">qhqhII")
_LENGTHS = struct.Struct(">IIII")
_END = struct.Struct(">q")


class Kind(IntEnum):
    """The kind of an entry."""

    DECISION = 1
    ERASURE = 2
    GOLDEN = 3
    """A decision on a golden order, which no customer placed: it tests reviewers."""


def entry_hash(
    before: bytes, sequence: int, kind: int, entry_id: str, at: int, decision: int, facts: bytes, commitment: bytes
) -> bytes:
    """Return the hash of an entry, 32 bytes, given the hash of the entry before it."""
    name = entry_id.encode()
    numbers = _NUMBERS.pack(sequence, kind, at, decision, len(name), len(facts))
    return hashlib.sha256(b"".join((before, numbers, name, facts, commitment))).digest()


def commit_to(salt: bytes, transaction_id: str, user_id: str, content_digest: bytes, payload: bytes) -> bytes:
    """Return the commitment to a payload and its search columns, 32 bytes."""
    transaction, user = transaction_id.encode(), user_id.encode()
    lengths = _LENGTHS.pack(len(salt), len(transaction), len(user), len(content_digest))
    return hashlib.sha256(b"".join((salt, lengths, transaction, user, content_digest, payload))).digest()


def signed_head(sequence: int, end: bytes, rows_number: int = 0, rows_hash: bytes = GENESIS) -> bytes:
    """Return the signed content: the heads of both chains, or that of the first chain while the second is empty."""
    first = _END.pack(sequence) + end
    return b"vouch ledger head" + first + (_END.pack(rows_number) + rows_hash if rows_number else NOTHING)


class Signer(Protocol):
    """Signs the head of the chain."""

    def sign(self, content: bytes) -> bytes:
        """Return a signature; empty without a key."""

    def fits(self, signature: bytes, content: bytes) -> bool:
        """Return whether this signer made a signature of this content."""


class Unsigned:
    """Signs nothing. Without a signature, anyone who can write to the database can compute the whole chain anew."""

    def sign(self, content: bytes) -> bytes:
        """See Signer."""
        return NOTHING

    def fits(self, signature: bytes, content: bytes) -> bool:
        """See Signer."""
        return signature == NOTHING
