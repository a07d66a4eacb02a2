"""Sessions in encrypted cookies, with the reviewer's API key and claims. The server stores no session."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Final

from cryptography.fernet import Fernet, InvalidToken

from console.signed_out import SignedOutSessions

COOKIE: Final = "vouch_console"
_RENEWAL_SECONDS = 30.0
_MAX_CLAIMS = 8
SIGN_IN_ROLES: Final = ("reviewer", "auditor", "admin")
"""Roles that may sign in."""


@dataclass
class Session:
    """A reviewer's session. `claims` are the fencing tokens of claimed cases; `message` is shown once."""

    key: str
    name: str
    role: str
    session_id: str = ""
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    begun: float = 0.0
    seen: float = 0.0
    claims: dict[str, int] = field(default_factory=dict)
    message: str = ""
    local: bool = False
    """There are no API keys: all callers are on this machine."""

    def add_claim(self, case_id: str, token: int) -> None:
        """Store the token of a claim; drop the oldest ones over the limit."""
        self.claims.pop(case_id, None)
        self.claims[case_id] = token
        while len(self.claims) > _MAX_CLAIMS:
            del self.claims[next(iter(self.claims))]

    @property
    def display_name(self) -> str:
        """Return the reviewer's name on pages."""
        return "local reviewer" if self.local else self.name

    @property
    def can_decide(self) -> bool:
        """Return whether the reviewer may give verdicts."""
        return self.role in ("reviewer", "admin")


class Sessions:
    """Encrypts sessions into cookies, and decrypts them."""

    def __init__(
        self,
        secret: str | None,
        idle_seconds: float,
        max_age_seconds: float,
        clock: Callable[[], float] = time.time,
        signed_out: SignedOutSessions | None = None,
    ) -> None:
        self._box = Fernet(
            base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()) if secret else Fernet.generate_key()
        )
        self._max_idle, self._max_age, self._clock = idle_seconds, max_age_seconds, clock
        self._signed_out = signed_out or SignedOutSessions(clock=clock)

    def begin(self, key: str, name: str, role: str, *, local: bool = False) -> Session:
        """Return a new session, with a new CSRF token."""
        now = self._clock()
        return Session(key, name, role, secrets.token_urlsafe(16), begun=now, seen=now, local=local)

    def seal(self, session: Session) -> str:
        """Return the cookie's value, and mark the session as used now."""
        session.seen = self._clock()
        return self._box.encrypt(json.dumps(asdict(session)).encode()).decode()

    def unseal(self, value: str) -> Session | None:
        """Return the session of a cookie; None if it is invalid, idle or expired, or was ended."""
        try:
            session = Session(**json.loads(self._box.decrypt(value.encode())))
        except (InvalidToken, ValueError, TypeError, UnicodeEncodeError):
            return None
        now = self._clock()
        if now - session.seen > self._max_idle or now - session.begun > self._max_age:
            return None
        ended = not session.session_id or session.session_id in self._signed_out
        return None if ended else session

    def end(self, session: Session) -> None:
        """End a session: all its cookies become invalid."""
        self._signed_out.add(session.session_id, session.begun + self._max_age)

    def needs_renewal(self, session: Session) -> bool:
        """Return whether the cookie's time of last use should be updated."""
        return self._clock() - session.seen > _RENEWAL_SECONDS
