"""The key that signs the head of the chain: Ed25519, in PEM files."""

import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent_server.database.engine import LedgerError
from runtime.files import KIB, UnusableFile, read_file

MAX_BYTES: Final = 64 * KIB


class Signing:
    """Signs the heads of the chains with a key from a file."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises LedgerError."""
        self._key = read_private(path)
        self._latest = b""

    def sign(self, content: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        self._latest = content
        return self._key.sign(content)

    def fits(self, signature: bytes, content: bytes) -> bool:
        """Return whether a signature is this key's. The latest content that it signed needs no check."""
        return content == self._latest or signature_fits(self._key.public_key(), signature, content)


def make_key(path: Path) -> Path:
    """Write a new private key, and its public half next to it; return the latter's path. Raises LedgerError if it
    exists.
    """
    key, public = Ed25519PrivateKey.generate(), path.with_name(path.name + ".pub")
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
        spki = pem.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, spki))
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}") from error
    return public


def read_private(path: Path) -> Ed25519PrivateKey:
    """Return the key to sign with. Raises LedgerError."""
    try:
        key = pem.load_pem_private_key(read_file(path, MAX_BYTES), None)
    except UnusableFile as error:
        raise LedgerError(f"{path}, the key that signs the ledger, {error.strerror}") from error
    except (OSError, ValueError, TypeError) as error:
        raise LedgerError(f"{path} is no private key: make one with `vouch audit key FILE`") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LedgerError(f"{path} is no Ed25519 key: make one with `vouch audit key FILE`")
    return key


def read_public(path: Path) -> Ed25519PublicKey:
    """Return the key to verify with, from either half. Raises LedgerError."""
    try:
        content = read_file(path, MAX_BYTES)
        key = read_private(path).public_key() if b"PRIVATE" in content else pem.load_pem_public_key(content)
    except (OSError, ValueError) as error:
        raise LedgerError(f"{path} is no public key: `vouch audit key FILE` writes FILE.pub") from error
    if not isinstance(key, Ed25519PublicKey):
        raise LedgerError(f"{path} is no Ed25519 key")
    return key


def signature_fits(key: Ed25519PublicKey, signature: bytes, content: bytes) -> bool:
    """Return whether a signature is that of this key on this content."""
    try:
        key.verify(signature, content)
    except InvalidSignature:
        return False
    return True
