"""Signing in with a key, and out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.answering import form_of, page
from console.services import Refused, Services
from console.session_middleware import ROOT, SIGN_IN, cookie, secure
from console.sessions import REVIEWING, Sessions
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.rpc.call import is_valid_metadata

_LONGEST_KEY = 4096
_UNKNOWN = (
    "This key is not known, or it is one that may not review. "
    "Whoever runs Vouch makes one: vouch keys add NAME --role reviewer"
)


async def sign_in_page(request: Request) -> Response:
    """The form; who is signed in already goes on to the queue."""
    if request.scope["session"] is not None:
        return RedirectResponse(f"{ROOT}/queue", 303)
    return page(request, "sign_in.html", problem="")


async def sign_in(request: Request) -> Response:
    """Begin a session with a key of role reviewer, auditor or admin. A wrong key and a shop's get the same answer."""
    key = form_of(request).get("key", "").strip()
    services: Services = request.app.state.services
    sessions: Sessions = request.scope["sessions"]
    if not (0 < len(key) <= _LONGEST_KEY and is_valid_metadata(key)):
        return page(request, "sign_in.html", 403, problem=_UNKNOWN)
    try:
        info: pb.GetAgentInfoResponse = await services.ask(services.agent.GetAgentInfo, pb.GetAgentInfoRequest(), key)
    except Refused as error:
        known = error.code.name in ("UNAUTHENTICATED", "PERMISSION_DENIED")
        return page(request, "sign_in.html", 403 if known else 503, problem=_UNKNOWN if known else error.sentence)
    if not info.caller or info.caller_role not in REVIEWING:
        return page(request, "sign_in.html", 403, problem=_UNKNOWN)
    session = sessions.begin(key, info.caller, info.caller_role)
    request.scope["session"] = None  # the cookie is set here, whatever came before
    response = RedirectResponse(f"{ROOT}/queue", 303)
    response.headers["set-cookie"] = cookie(sessions.sealed(session), secure(request))
    return response


async def sign_out(request: Request) -> Response:
    """End the session, and with it every copy of its cookie."""
    sessions: Sessions = request.scope["sessions"]
    sessions.end(request.scope["session"])
    request.scope["session"] = None
    response = RedirectResponse(SIGN_IN, 303)
    response.headers["set-cookie"] = cookie("", secure(request), 0)
    return response
