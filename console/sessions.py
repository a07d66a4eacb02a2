"""Who is signed in: a sealed cookie that only this console reads, with the person's key and claims. Nothing is stored."""

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
_RENEWED_AFTER_SECONDS = 30.0
_MOST_CLAIMS = 8
REVIEWING: Final = ("reviewer", "auditor", "admin")
"""Roles that may sign in."""


@dataclass
class Session:
    """One person's. `claims` are the fencing tokens of the cases that they hold; `message` is shown once."""

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
    """Nobody was asked for a key: everything is on this machine."""

    def hold(self, case_id: str, token: int) -> None:
        """Remember the token of a claim; the oldest ones are forgotten."""
        self.claims.pop(case_id, None)
        self.claims[case_id] = token
        while len(self.claims) > _MOST_CLAIMS:
            del self.claims[next(iter(self.claims))]

    @property
    def shown_name(self) -> str:
        """How pages call them."""
        return "local reviewer" if self.local else self.name

    @property
    def decides(self) -> bool:
        """Whether they may give verdicts."""
        return self.role in ("reviewer", "admin")


class Sessions:
    """Seals and opens sessions."""

    def __init__(
        self,
        secret: str | None,
        idle_seconds: float,
        longest_seconds: float,
        clock: Callable[[], float] = time.time,
        signed_out: SignedOutSessions | None = None,
    ) -> None:
        self._box = Fernet(
            base64.urlsafe_b64encode(hashlib.sha256(secret.encode()).digest()) if secret else Fernet.generate_key()
        )
        self._idle, self._longest, self._clock = idle_seconds, longest_seconds, clock
        self._signed_out = signed_out or SignedOutSessions(clock=clock)

    def begin(self, key: str, name: str, role: str, *, local: bool = False) -> Session:
        """A new session, with a new CSRF token."""
        now = self._clock()
        return Session(key, name, role, secrets.token_urlsafe(16), begun=now, seen=now, local=local)

    def sealed(self, session: Session) -> str:
        """The cookie's value, seen now."""
        session.seen = self._clock()
        return self._box.encrypt(json.dumps(asdict(session)).encode()).decode()

    def opened(self, value: str) -> Session | None:
        """The session of a cookie; None where it is not ours, or idle or old for too long."""
        try:
            session = Session(**json.loads(self._box.decrypt(value.encode())))
        except (InvalidToken, ValueError, TypeError, UnicodeEncodeError):
            return None
        now = self._clock()
        if now - session.seen > self._idle or now - session.begun > self._longest:
            return None
        ended = not session.session_id or session.session_id in self._signed_out
        return None if ended else session

    def end(self, session: Session) -> None:
        """End a session: none of its cookies opens anything from now on."""
        self._signed_out.add(session.session_id, session.begun + self._longest)

    def worth_renewing(self, session: Session) -> bool:
        """Whether the cookie should say that the person was here."""
        return self._clock() - session.seen > _RENEWED_AFTER_SECONDS
