"""The app: its routes, middleware and gRPC channels."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from console.pages import cases, decisions, queue, responses, sign_in, team
from console.services import ServiceError, Services
from console.session_middleware import ROOT, SessionMiddleware
from console.sessions import Sessions
from console.settings import ConsoleSettings
from console.signed_out import SignedOutSessions
from runtime.client.channels import open_channel
from runtime.client.split_channel import SplitChannel
from runtime.web.guard import BoundedServer, WebGuard
from runtime.web.settings import WebSettings

_STATIC = Path(__file__).resolve().parent / "static"


async def _home(request: Request) -> Response:
    return RedirectResponse(f"{ROOT}/queue", 303)


async def _health(request: Request) -> Response:
    """Return that this process answers, without a check of the services."""
    return JSONResponse({"status": "healthy"})


ROUTES = (
    Route("/", _home),
    Route(f"{ROOT}/", _home),
    Route(f"{ROOT}/health", _health),
    Route(f"{ROOT}/sign-in", sign_in.sign_in_page),
    Route(f"{ROOT}/sign-in", sign_in.sign_in, methods=["POST"]),
    Route(f"{ROOT}/sign-out", sign_in.sign_out, methods=["POST"]),
    Route(f"{ROOT}/queue", queue.queue),
    Route(f"{ROOT}/queue/rows", queue.rows),
    Route(f"{ROOT}/queue/changes", queue.changes),
    Route(f"{ROOT}/next", queue.claim_next, methods=["POST"]),
    Route(f"{ROOT}/cases/{{case_id}}", cases.case),
    Route(f"{ROOT}/cases/{{case_id}}/claim", cases.claim, methods=["POST"]),
    Route(f"{ROOT}/cases/{{case_id}}/renew", cases.renew, methods=["POST"]),
    Route(f"{ROOT}/cases/{{case_id}}/release", cases.release, methods=["POST"]),
    Route(f"{ROOT}/cases/{{case_id}}/resolve", cases.resolve, methods=["POST"]),
    Route(f"{ROOT}/cases/{{case_id}}/comment", cases.comment, methods=["POST"]),
    Route(f"{ROOT}/decisions", decisions.search),
    Route(f"{ROOT}/decisions/{{transaction_id:path}}", decisions.decision),
    Route(f"{ROOT}/overview", team.overview),
    Route(f"{ROOT}/policy", team.policy),
    Route(f"{ROOT}/model", team.model),
    Route(f"{ROOT}/reviewers", team.reviewers),
    Mount(f"{ROOT}/static", StaticFiles(directory=_STATIC)),
)


def create_app(settings: ConsoleSettings) -> Starlette:
    """Return the console as an ASGI app."""
    secret = settings.secret_key.get_secret_value() if settings.secret_key else None
    signed_out = SignedOutSessions(settings.signed_out_file if secret else None)
    web = WebSettings.read()
    sessions = Sessions(secret, settings.idle_minutes * 60, settings.longest_hours * 3600, signed_out=signed_out)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.ending = asyncio.Event()
        async with (
            SplitChannel(settings.agent, settings.tls) as agent,
            open_channel(settings.scorer, settings.tls) as scorer,
        ):
            app.state.undo_seconds = settings.undo_seconds
            app.state.services = Services(agent, scorer, settings.timeout_seconds)
            yield

    return BoundedServer(
        routes=ROUTES,
        middleware=[
            Middleware(WebGuard, settings=web),
            Middleware(
                SessionMiddleware, sessions=sessions, max_bytes=settings.max_body_bytes, body_seconds=web.body_seconds
            ),
        ],
        exception_handlers={
            ServiceError: responses.refused_page,
            404: responses.not_found_page,
            405: responses.not_found_page,
            500: responses.error_page,
        },
        lifespan=lifespan,
    )
