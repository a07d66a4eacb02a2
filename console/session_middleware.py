"""In front of every page: who is there, whether a change comes from a page of ours, and what a browser may do with it."""

import asyncio
import hmac
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.services import Refused, Services
from console.sessions import COOKIE, REVIEWING, Session, Sessions
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.web.request_origin import host_headers, is_allowed_host, is_local_caller, is_same_origin

ROOT: Final = "/console"
SIGN_IN: Final = f"{ROOT}/sign-in"
OPEN: Final = (SIGN_IN, f"{ROOT}/static/", f"{ROOT}/health")
"""Paths that ask for no session."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_MOST_FIELDS = 64
HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Gate:
    """ASGI middleware: a session or the way to sign in, a CSRF token and our own origin on every change, strict headers."""

    def __init__(self, app: ASGIApp, sessions: Sessions, most_bytes: int, body_seconds: float) -> None:
        self._app, self._sessions, self._most, self._body_seconds = app, sessions, most_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        session = self._sessions.opened(request.cookies.get(COOKIE, ""))
        renewed = session is not None and self._sessions.worth_renewing(session)
        if session is None:
            session = await self._local(request)
            renewed = session is not None
        scope["session"], scope["sessions"] = session, self._sessions
        refusal = await self._refusal(request, session)
        before = None if session is None else _content(session)
        # What a page asks for by itself sets no cookie: its answer may come after that to what the person did next.
        by_person = request.headers.get("sec-fetch-mode", "navigate") == "navigate"

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [
                    (name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names
                ]
                kept: Session | None = scope["session"]
                if kept is not None and by_person and (renewed or _content(kept) != before):
                    extra.append((b"set-cookie", cookie(self._sessions.sealed(kept), secure(request)).encode()))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await (refusal or self._app)(scope, receive, answer)

    async def _local(self, request: Request) -> Session | None:
        """A session without a key, where the agent asks nobody for one and this is the machine that it runs on."""
        if request.url.path.startswith(OPEN[1:]) or not _is_here(request):
            return None
        services: Services = request.app.state.services
        try:
            info: pb.GetAgentInfoResponse = await services.ask(
                services.agent.GetAgentInfo, pb.GetAgentInfoRequest(), ""
            )
        except Refused:
            return None
        if info.caller or info.caller_role not in REVIEWING:
            return None
        return self._sessions.begin("", "", info.caller_role, local=True)

    async def _refusal(self, request: Request, session: Session | None) -> Response | None:
        if session is not None and session.local and not _is_here(request):
            return PlainTextResponse("The services ask nobody for a key, so the console serves this machine only.", 403)
        if request.method in ("GET", "HEAD"):
            if session is None and not request.url.path.startswith(OPEN):
                return RedirectResponse(SIGN_IN, 303)
            return None
        if not is_same_origin(request.headers.get("origin", ""), request.headers.get("host")):
            return PlainTextResponse("This change did not come from a page of this console.", 403)
        try:
            async with asyncio.timeout(self._body_seconds):
                form = await read_form(request, self._most)
        except TimeoutError:
            return PlainTextResponse("The form did not arrive in time.", 408, {"Connection": "close"})
        if form is None:
            return PlainTextResponse("That is more than a form of this console holds.", 413)
        request.scope["form"] = form
        if request.url.path == SIGN_IN:
            return None
        if session is None:
            return RedirectResponse(SIGN_IN, 303)
        if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            return PlainTextResponse("This page is of another session: load it again.", 403)
        return None


async def read_form(request: Request, most: int) -> dict[str, str] | None:
    """A form's fields, each once; None where the body is larger than it may be. What is no text is replaced."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            return None
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:  # more fields than that
        return None


def cookie(value: str, is_secure: bool, age: int | None = None) -> str:
    """The header that sets the session, or with age 0 takes it away."""
    parts = [f"{COOKIE}={value}", f"Path={ROOT}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, *(["Secure"] if is_secure else []), *([f"Max-Age={age}"] if age is not None else [])])


def secure(request: Request) -> bool:
    """Whether the browser speaks TLS, to us or to the edge before us."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def _is_here(request: Request) -> bool:
    """Return whether the caller is on this machine and names it by a loopback name (no DNS rebinding)."""
    return is_local_caller(request.scope) and is_allowed_host(host_headers(request.scope), ())


def _content(session: Session) -> tuple[Any, ...]:
    return (session.key, session.csrf, tuple(session.claims.items()), session.message)
