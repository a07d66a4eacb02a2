"""Shared parts of all pages: templates, the session, service calls, redirects and error pages."""

import datetime as dt
from pathlib import Path
from typing import Any

import grpc
import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.services import ServiceError, Services
from console.session_middleware import ROOT, SIGN_IN, session_cookie, uses_tls
from console.sessions import Session
from console.views import formatting
from contract.abuse_types import likeliest
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

_log = get_logger()
_FOLDER = Path(__file__).resolve().parent.parent
_PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_FOLDER / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_PAGES.globals |= {
    "root": ROOT, "format_time": formatting.format_time, "format_seconds": formatting.format_seconds,
    "format_hour": formatting.format_hour, "format_amount": formatting.format_amount, "format_loss": formatting.format_loss,
    "format_score": formatting.format_score, "format_duration": formatting.format_duration,
    "decision_name": lambda number: formatting.enum_label(pb.Decision.DESCRIPTOR, number),
    "maker_name": lambda number: formatting.enum_label(pb.DecisionMaker.DESCRIPTOR, number),
    "recommendation_name": lambda number: formatting.enum_label(pb.Recommendation.DESCRIPTOR, number),
    "status_name": lambda number: formatting.enum_label(cases.CaseStatus.DESCRIPTOR, number),
    "reason_name": lambda number: formatting.enum_label(cases.CaseReason.DESCRIPTOR, number),
    "event_name": lambda number: formatting.enum_label(cases.CaseEventKind.DESCRIPTOR, number),
    "effect_name": lambda number: formatting.enum_label(pb.RuleEffect.DESCRIPTOR, number),
}  # fmt: skip
_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.PERMISSION_DENIED: 403, grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAVAILABLE: 503, grpc.StatusCode.DEADLINE_EXCEEDED: 504, grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 409, grpc.StatusCode.ABORTED: 409,
}  # fmt: skip


def session_of(request: Request) -> Session:
    """Return the request's session. SessionMiddleware passes no request without one to a page."""
    session: Session = request.scope["session"]
    return session


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of the request's form."""
    form: dict[str, str] = request.scope["form"]
    return form


async def call_service(request: Request, service: str, method: str, message: Any) -> Any:
    """Call a service with the reviewer's key. Raises ServiceError."""
    services: Services = request.app.state.services
    return await services.call_service(getattr(getattr(services, service), method), message, session_of(request).key)


def render_page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """Render a template. The session's message is shown and removed."""
    session: Session | None = request.scope.get("session")
    message = ""
    if session is not None and session.message:
        message, session.message = session.message, ""
    text = _PAGES.get_template(template).render(
        session=session, path=request.url.path, message=message,
        now=dt.datetime.now(dt.UTC).timestamp(), **values,
    )  # fmt: skip
    return HTMLResponse(text, status)


def redirect(path: str) -> Response:
    """Redirect to another page of the console, after a change."""
    return RedirectResponse(f"{ROOT}{path}", 303)


def redirect_with_message(request: Request, path: str, message: str) -> Response:
    """Redirect to another page that shows a message."""
    session_of(request).message = message
    return redirect(path)


async def refused_page(request: Request, error: Exception) -> Response:
    """Return the page for a service's error. If the API key is no longer known, end the session."""
    assert isinstance(error, ServiceError)
    if error.code == grpc.StatusCode.UNAUTHENTICATED:
        response = RedirectResponse(SIGN_IN, 303)
        request.scope["session"] = None
        response.headers["set-cookie"] = session_cookie("", uses_tls(request), 0)
        return response
    return render_page(request, "refused.html", _STATUS.get(error.code, 500), sentence=error.sentence)


async def not_found_page(request: Request, error: Exception) -> Response:
    """Return the page for an unknown path or method."""
    return render_page(request, "refused.html", getattr(error, "status_code", 404), sentence="Page not found.")


async def error_page(request: Request, error: Exception) -> Response:
    """Log an unexpected error by its type and lines of code, since its message may contain order data; return 500."""
    _log.error("page failed", error=type(error).__name__, where=traceback_frames(error))
    return render_page(request, "refused.html", 500, sentence="Internal error. See the console's log.")


def likely_abuse(review: pb.ReviewResponse) -> str:
    """Return the most probable type of abuse in words; empty if the order was not scored."""
    if not review.HasField("ml_prediction"):
        return ""
    return likeliest(review.ml_prediction.abuse_type_scores).replace("_", " ")
