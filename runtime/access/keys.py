"""API keys: generated once, stored as digests, reloaded when their file changes."""

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

RELOAD_SECONDS: Final = 0.5
MAX_BYTES: Final = 4 * MIB
NO_KEYS_LINE: Final = "# no keys"
"""First line of a key file whose last key was removed."""

KEY_REQUIRED: Final = "an API key is required; send it as x-api-key"
KEY_UNKNOWN: Final = "unknown API key"

_log = get_logger()


def new_key() -> str:
    """Return a new key of 256 random bits. It needs no slow hash: random keys cannot be guessed."""
    return f"vouch_{secrets.token_urlsafe(32)}"


def digest(key: str) -> str:
    """Return the SHA-256 of a key in hex, which is all that is stored of it."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True)
class Key:
    """An entry of a key file: name, digest and role. Keys of version 0.1 have no role."""

    name: str
    digest: str
    role: str = ""


def read_keys(path: Path) -> dict[str, Key]:
    """Read a file of `name:digest:role` lines; return keys by name. Raise SecurityError naming the invalid line."""
    return _parse(path, _read(path))


def _read(path: Path) -> str:
    try:
        return read_file(path, MAX_BYTES).decode()
    except FileNotFoundError as error:
        raise SecurityError(f"{path} does not exist; create it with `vouch keys add NAME --file {path}`") from error
    except OSError as error:
        raise SecurityError(f"cannot read key file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SecurityError(f"cannot read key file {path}: it is not UTF-8") from error


def _parse(path: Path, text: str) -> dict[str, Key]:
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if not match or (match[3] is not None and match[3] not in ROLES):
            raise SecurityError(f"{path}: line {number} is not `name:digest:role`; add keys with `vouch keys add NAME`")
        if match[1] in keys:
            raise SecurityError(f"{path}: line {number}: duplicate name {match[1]}")
        keys[match[1]] = Key(match[1], match[2], match[3] or "")
    return keys


class ApiKeys:
    """The keys of a file. A changed file is reloaded within a second, so keys change without a restart.

    If the changed file is invalid or empty, the last valid keys stay in force. To remove the last key, use
    `vouch keys remove`, which leaves a marker line in the file.
    """

    def __init__(self, path: Path) -> None:
        """Read the keys and watch the file. Raise SecurityError."""
        self._path = path
        self._file_stamp = _file_stamp(
            path
        )  # read before the content, so that a change in between is noticed next time
        self._keys = read_keys(path)
        self._log_missing_role()
        if not self._keys:
            _log.warning("the API key file is empty: all callers are rejected", file=str(path))
        watch_in_thread("api-keys", self, ApiKeys.reload_if_changed, RELOAD_SECONDS)

    def reload_if_changed(self) -> None:
        """Reload the keys if their file has changed."""
        stamp = _file_stamp(self._path)
        if stamp == self._file_stamp:
            return
        self._file_stamp = stamp
        try:
            text = _read(self._path)
            keys = _parse(self._path, text)
            if self._keys and not keys and not text.startswith(NO_KEYS_LINE):
                raise SecurityError(f"{self._path} contains no key")
        except SecurityError as error:  # keep the last valid keys if the file is invalid
            _log.error("API keys not reloaded; the previous keys stay valid", cause=str(error))
            return
        self._keys = keys
        _log.info("API keys reloaded", names=sorted(keys))

    def _log_missing_role(self) -> None:
        if names := sorted(key.name for key in self._keys.values() if not key.role):
            _log.warning("keys without a role have the rights of a shop, and may read cases", names=names, role="shop")

    def holder_of(self, key: str) -> Caller | None:
        """Return the holder of a key, or None if it is unknown. Takes constant time for keys of the same length."""
        presented, holder = digest(key), None
        for entry in self._keys.values():
            if hmac.compare_digest(presented, entry.digest):
                holder = Caller(entry.name, entry.role or WITHOUT_ROLE)
        return holder


def _file_stamp(path: Path) -> tuple[int, ...] | None:
    """Return a value that changes with the file; None if the file is missing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def presented_key(headers: Mapping[str, str]) -> str:
    """Return the key in `x-api-key` or a bearer token; empty if there is none. Header names are in lower case."""
    if key := headers.get("x-api-key"):
        return key
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
