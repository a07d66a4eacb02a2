"""API keys: made once, kept as digests, read again when their file changes."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.access import SecurityError
from runtime.access.caller import ROLES, WITHOUT_ROLE, Caller
from runtime.files import MIB, read_file
from runtime.jobs import watch_in_thread
from runtime.telemetry.logging import get_logger

_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,63}):([0-9a-f]{64})(?::([a-z]+))?")

LOOK_SECONDS: Final = 0.5
MOST_BYTES: Final = 4 * MIB
EMPTIED: Final = "# no keys"
"""First line of a file whose last key was removed."""

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
    return _parse(path, _read(path))


def _read(path: Path) -> str:
    try:
        return read_file(path, MOST_BYTES).decode()
    except FileNotFoundError as error:
        raise SecurityError(f"{path} cannot be read: make it with `vouch keys add NAME --file {path}`") from error
    except OSError as error:
        raise SecurityError(f"{path} cannot be read as a file of keys: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecurityError(f"{path} cannot be read as a file of keys: it is not UTF-8") from error


def _parse(path: Path, text: str) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
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
    """The keys of a file. A changed file is read again within a second, so that keys change without a restart.

    A file that cannot be used, or that holds nothing, locks nobody out: the keys known before stay. The last key is taken away
    by `vouch keys remove`, which leaves a line that says so.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys. Raises SecurityError."""
        self._path = path
        self._stamp = _stamp(path)  # before the content: a change in between is then seen the next time
        self._keys = read_keys(path)
        self._log_missing_role()
        if not self._keys:
            _log.warning("the file of API keys holds no key: nobody is let in", file=str(path))
        watch_in_thread("api-keys", self, ApiKeys.look, LOOK_SECONDS)

    def look(self) -> None:
        """Read the keys again where their file has changed."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            text = _read(self._path)
            keys = _parse(self._path, text)
            if self._keys and not keys and not text.startswith(EMPTIED):
                raise SecurityError(f"{self._path} holds no key")
        except SecurityError as error:  # half a file must lock nobody out
            _log.error("API keys not read again: the ones known before stay", cause=str(error))
            return
        self._keys = keys
        _log.info("API keys read again", names=sorted(keys))

    def _log_missing_role(self) -> None:
        if names := sorted(key.name for key in self._keys.values() if not key.role):
            _log.warning("keys without a role may do what a shop may, and read cases", names=names, role="shop")

    def holder_of(self, key: str) -> Caller | None:
        """Who holds a key, or None for one that is not known. Takes as long for any key of the same length."""
        given, holder = digest(key), None
        for known in self._keys.values():
            if hmac.compare_digest(given, known.digest):
                holder = Caller(known.name, known.role or WITHOUT_ROLE)
        return holder


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Changes when the file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def presented_key(headers: Mapping[str, str]) -> str:
    """The key of a call: `x-api-key`, or a bearer token; empty where there is none. Names are in lower case."""
    if key := headers.get("x-api-key"):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
