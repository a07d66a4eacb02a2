"""Middleware of every page: sessions, CSRF and origin checks, form parsing, and security headers."""

import asyncio
import hmac
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.services import ServiceError, Services
from console.sessions import COOKIE, SIGN_IN_ROLES, Session, Sessions
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.web.request_origin import host_headers, is_allowed_host, is_local_caller, is_same_origin

ROOT: Final = "/console"
SIGN_IN: Final = f"{ROOT}/sign-in"
PUBLIC_PATHS: Final = (SIGN_IN, f"{ROOT}/static/", f"{ROOT}/health")
"""Paths that need no session."""
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


class SessionMiddleware:
    """ASGI middleware: reads the session or redirects to sign-in, checks CSRF token and origin, and adds headers."""

    def __init__(self, app: ASGIApp, sessions: Sessions, max_bytes: int, body_seconds: float) -> None:
        self._app, self._sessions, self._max_bytes, self._body_seconds = app, sessions, max_bytes, body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or reject it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        session = self._sessions.unseal(request.cookies.get(COOKIE, ""))
        renewed = session is not None and self._sessions.needs_renewal(session)
        if session is None:
            session = await self._local_session(request)
            renewed = session is not None
        scope["session"], scope["sessions"] = session, self._sessions
        refusal = await self._refusal(request, session)
        before = None if session is None else _content(session)
        # Background requests of a page set no cookie: their responses may arrive after that of a later action.
        is_navigation = request.headers.get("sec-fetch-mode", "navigate") == "navigate"

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                extra = [
                    (name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in names
                ]
                current: Session | None = scope["session"]
                if current is not None and is_navigation and (renewed or _content(current) != before):
                    value = session_cookie(self._sessions.seal(current), uses_tls(request))
                    extra.append((b"set-cookie", value.encode()))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    async def _local_session(self, request: Request) -> Session | None:
        """Return a session without a key if the agent requires no keys and the caller is on this machine."""
        if request.url.path.startswith(PUBLIC_PATHS[1:]) or not _is_local_request(request):
            return None
        services: Services = request.app.state.services
        try:
            info: pb.GetAgentInfoResponse = await services.call_service(
                services.agent.GetAgentInfo, pb.GetAgentInfoRequest(), ""
            )
        except ServiceError:
            return None
        if info.caller or info.caller_role not in SIGN_IN_ROLES:
            return None
        return self._sessions.begin("", "", info.caller_role, local=True)

    async def _refusal(self, request: Request, session: Session | None) -> Response | None:
        if session is not None and session.local and not _is_local_request(request):
            return PlainTextResponse("The services require no API keys, so the console serves this machine only.", 403)
        if request.method in ("GET", "HEAD"):
            if session is None and not request.url.path.startswith(PUBLIC_PATHS):
                return RedirectResponse(SIGN_IN, 303)
            return None
        if not is_same_origin(request.headers.get("origin", ""), request.headers.get("host")):
            return PlainTextResponse("The request did not come from a page of this console.", 403)
        try:
            async with asyncio.timeout(self._body_seconds):
                form = await read_form(request, self._max_bytes)
        except TimeoutError:
            return PlainTextResponse("The form did not arrive in time.", 408, {"Connection": "close"})
        if form is None:
            return PlainTextResponse("The form is too large.", 413)
        request.scope["form"] = form
        if request.url.path == SIGN_IN:
            return None
        if session is None:
            return RedirectResponse(SIGN_IN, 303)
        if not hmac.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
            return PlainTextResponse("This page belongs to another session; reload it.", 403)
        return None


async def read_form(request: Request, max_bytes: int) -> dict[str, str] | None:
    """Return a form's fields; None if the body is too large. Invalid UTF-8 is replaced."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            return None
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return {}
    try:
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:  # too many fields
        return None


def session_cookie(value: str, is_secure: bool, age: int | None = None) -> str:
    """Return the Set-Cookie header of a session; with age 0 it deletes the cookie."""
    parts = [f"{COOKIE}={value}", f"Path={ROOT}", "HttpOnly", "SameSite=Strict"]
    return "; ".join([*parts, *(["Secure"] if is_secure else []), *([f"Max-Age={age}"] if age is not None else [])])


def uses_tls(request: Request) -> bool:
    """Return whether the browser uses TLS, to the console or to an edge in front of it."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"


def _is_local_request(request: Request) -> bool:
    """Return whether the caller is on this machine and names it by a loopback name (no DNS rebinding)."""
    return is_local_caller(request.scope) and is_allowed_host(host_headers(request.scope), ())


def _content(session: Session) -> tuple[Any, ...]:
    return (session.key, session.csrf, tuple(session.claims.items()), session.message)
