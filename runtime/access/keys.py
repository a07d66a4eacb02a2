"""API keys: made once, kept as digests, read again when their file changes."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.access import SecurityError
from runtime.access.caller import ROLES, WITHOUT_ROLE, Caller
from runtime.telemetry.logging import get_logger

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([0-9a-f]{64})(?::([a-z]+))?")

_LOOK_AGAIN_SECONDS = 1.0

_log = get_logger()


def new_key() -> str:
    """A key of 256 random bits. Being random, it needs no slow hash: nobody can try them all."""
    return f"vouch_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """What is kept of a key: its SHA-256, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """A key as a file keeps it: its digest, and what its holder may do. Keys of version 0.1 have no role."""

    name: str
    digest: str
    role: str = ""


def read_keys(path: Path) -> dict[str, Key]:
    """Keys by name, of a file with a line `name:digest:role` for each. Raises SecurityError naming the line."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SecurityError(f"{path} cannot be read: make it with `vouch keys add NAME --file {path}`") from error
    keys: dict[str, Key] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match or (match[3] is not None and match[3] not in ROLES):
            raise SecurityError(
                f"{path}: line {number} is not `name:digest:role`; `vouch keys add NAME` writes such lines"
            )
        if match[1] in keys:
            raise SecurityError(f"{path}: line {number}: the name {match[1]} stands there twice")
        keys[match[1]] = Key(match[1], match[2], match[3] or "")
    return keys


class ApiKeys:
    """The keys of a file. A changed file is read again within a second, so that keys change without a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = read_keys(path)
        self._tell_without_role()
        self._stamp = self._now_stamp()
        self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS

    def _now_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _refresh(self) -> None:
        self._look_again = time.monotonic() + _LOOK_AGAIN_SECONDS
        stamp = self._now_stamp()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._path)
        except SecurityError as error:  # half a file must lock nobody out
            _log.error("API keys not read again: the ones known before stay", cause=str(error))
            return
        _log.info("API keys read again", names=sorted(self._keys))

    def _tell_without_role(self) -> None:
        if names := sorted(key.name for key in self._keys.values() if not key.role):
            _log.warning("keys without a role may do what a shop may, and read cases", names=names, role="shop")

    def holder_of(self, key: str) -> Caller | None:
        """Who holds a key, or None for one that is not known. Takes as long for any key of the same length."""
        if time.monotonic() >= self._look_again:
            self._refresh()
        given, holder = digest(key), None
        for known in self._keys.values():
            if hmac.compare_digest(given, known.digest):
                holder = Caller(known.name, known.role or WITHOUT_ROLE)
        return holder


def presented_key(headers: Mapping[str, str]) -> str:
    """The key of a call: `x-api-key`, or a bearer token; empty where there is none. Names are in lower case."""
    if key := headers.get("x-api-key"):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
