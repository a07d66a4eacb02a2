"""Sign-in with an API key, and sign-out."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.responses import form_of, render_page
from console.services import ServiceError, Services
from console.session_middleware import ROOT, SIGN_IN, session_cookie, uses_tls
from console.sessions import SIGN_IN_ROLES, Sessions
from generated.vouch.v1 import agent_service_pb2 as pb
from runtime.rpc.call import is_valid_metadata

_MAX_KEY_LENGTH = 4096
_INVALID_KEY = (
    "This key is unknown, or its role may not review cases. "
    "The operator can create a key: vouch keys add NAME --role reviewer"
)


async def sign_in_page(request: Request) -> Response:
    """Show the form. Redirect to the queue if a session exists."""
    if request.scope["session"] is not None:
        return RedirectResponse(f"{ROOT}/queue", 303)
    return render_page(request, "sign_in.html", problem="")


async def sign_in(request: Request) -> Response:
    """Start a session with a key of role reviewer, auditor or admin. Unknown keys and shops' keys get one response."""
    key = form_of(request).get("key", "").strip()
    services: Services = request.app.state.services
    sessions: Sessions = request.scope["sessions"]
    if not (0 < len(key) <= _MAX_KEY_LENGTH and is_valid_metadata(key)):
        return render_page(request, "sign_in.html", 403, problem=_INVALID_KEY)
    try:
        info: pb.GetAgentInfoResponse = await services.call_service(
            services.agent.GetAgentInfo, pb.GetAgentInfoRequest(), key
        )
    except ServiceError as error:
        known = error.code.name in ("UNAUTHENTICATED", "PERMISSION_DENIED")
        return render_page(
            request, "sign_in.html", 403 if known else 503, problem=_INVALID_KEY if known else error.sentence
        )
    if not info.caller or info.caller_role not in SIGN_IN_ROLES:
        return render_page(request, "sign_in.html", 403, problem=_INVALID_KEY)
    session = sessions.begin(key, info.caller, info.caller_role)
    request.scope["session"] = None  # the cookie is set here, not by SessionMiddleware
    response = RedirectResponse(f"{ROOT}/queue", 303)
    response.headers["set-cookie"] = session_cookie(sessions.seal(session), uses_tls(request))
    return response


async def sign_out(request: Request) -> Response:
    """End the session; every copy of its cookie becomes invalid."""
    sessions: Sessions = request.scope["sessions"]
    sessions.end(request.scope["session"])
    request.scope["session"] = None
    response = RedirectResponse(SIGN_IN, 303)
    response.headers["set-cookie"] = session_cookie("", uses_tls(request), 0)
    return response
