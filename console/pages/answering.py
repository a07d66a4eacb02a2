"""What all pages share: templates, the session, answers to what a service refuses."""

import datetime as dt
from pathlib import Path
from typing import Any

import grpc
import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.services import Refused, Services
from console.session_middleware import ROOT, SIGN_IN, cookie, secure
from console.sessions import Session
from console.views import words
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
    "root": ROOT, "moment": words.moment, "moment_of": words.moment_of, "hour": words.hour,
    "amount": words.amount, "share": words.share, "span": words.span,
    "decision_name": lambda number: words.name_of(pb.Decision.DESCRIPTOR, number),
    "maker_name": lambda number: words.name_of(pb.DecisionMaker.DESCRIPTOR, number),
    "recommendation_name": lambda number: words.name_of(pb.Recommendation.DESCRIPTOR, number),
    "status_name": lambda number: words.name_of(cases.CaseStatus.DESCRIPTOR, number),
    "reason_name": lambda number: words.name_of(cases.CaseReason.DESCRIPTOR, number),
    "event_name": lambda number: words.name_of(cases.CaseEventKind.DESCRIPTOR, number),
    "effect_name": lambda number: words.name_of(pb.RuleEffect.DESCRIPTOR, number),
}  # fmt: skip
_STATUS = {
    grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.PERMISSION_DENIED: 403, grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.UNAVAILABLE: 503, grpc.StatusCode.DEADLINE_EXCEEDED: 504, grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 409, grpc.StatusCode.ABORTED: 409,
}  # fmt: skip


def session_of(request: Request) -> Session:
    """Who is signed in; the gate lets nobody else through."""
    session: Session = request.scope["session"]
    return session


def form_of(request: Request) -> dict[str, str]:
    """The fields of the form that was sent."""
    form: dict[str, str] = request.scope["form"]
    return form


async def ask(request: Request, service: str, method: str, message: Any) -> Any:
    """One call with the person's key; raises Refused."""
    services: Services = request.app.state.services
    return await services.ask(getattr(getattr(services, service), method), message, session_of(request).key)


def page(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """A page of a template; the message of the session is shown once."""
    session: Session | None = request.scope.get("session")
    message = ""
    if session is not None and session.message:
        message, session.message = session.message, ""
    text = _PAGES.get_template(template).render(
        session=session, path=request.url.path, message=message,
        now=dt.datetime.now(dt.UTC).timestamp(), **values,
    )  # fmt: skip
    return HTMLResponse(text, status)


def go(path: str) -> Response:
    """To another page of the console, after a change."""
    return RedirectResponse(f"{ROOT}{path}", 303)


def redirect_with_message(request: Request, path: str, message: str) -> Response:
    """To another page, which shows this message."""
    session_of(request).message = message
    return go(path)


async def refusal(request: Request, error: Exception) -> Response:
    """The page for what a service refused: a key that is no longer known signs its holder out."""
    assert isinstance(error, Refused)
    if error.code == grpc.StatusCode.UNAUTHENTICATED:
        response = RedirectResponse(SIGN_IN, 303)
        request.scope["session"] = None
        response.headers["set-cookie"] = cookie("", secure(request), 0)
        return response
    return page(request, "refused.html", _STATUS.get(error.code, 500), sentence=error.sentence)


async def missing(request: Request, error: Exception) -> Response:
    """There is no such page, or it cannot be asked for in this way."""
    return page(request, "refused.html", getattr(error, "status_code", 404), sentence="There is no such page.")


async def broken(request: Request, error: Exception) -> Response:
    """A fault of ours: logged by type and lines of code, since a message can hold a value of an order."""
    _log.error("page failed", error=type(error).__name__, where=traceback_frames(error))
    return page(request, "refused.html", 500, sentence="Something here is broken; the log has it.")


def likely_abuse(review: pb.ReviewResponse) -> str:
    """The most probable type of abuse, in words; empty where the order was not scored."""
    return (
        likeliest(review.ml_prediction.abuse_type_scores).replace("_", " ") if review.HasField("ml_prediction") else ""
    )
