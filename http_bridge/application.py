"""Shared parts of both apps: the gRPC channel, request parsing, and responses made from messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import cached_property, partial
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi_offline import FastAPIOffline
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from orjson import dumps
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.responses import RedirectResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.batch_calls import BatchCalls
from http_bridge.errors import error_response, install_error_handlers
from http_bridge.events import set_on_signal
from http_bridge.health_state import HealthState
from http_bridge.json.encoding import to_json
from http_bridge.json.order_reader import read_order
from http_bridge.json.times import SCHEMA, to_timestamp
from http_bridge.middleware.access import AccessMiddleware, metadata, timeout
from http_bridge.middleware.access_log import redact_access_log
from http_bridge.middleware.direct_routes import DirectRoutes
from http_bridge.middleware.metrics import RequestMetrics, add_metrics_route
from http_bridge.middleware.parameters import ParametersMiddleware
from http_bridge.openapi.operations import complete_document
from http_bridge.request_body import read_json
from http_bridge.settings import HttpSettings
from runtime.client.split_channel import SplitChannel
from runtime.process.event_loop import tune_gc
from runtime.telemetry import logging
from runtime.web.guard import BoundedServer, WebGuard
from runtime.web.settings import WebSettings

RELAYED_HEADERS = ("vouch-replayed",)
"""Headers of gRPC responses that are copied to REST responses."""
_LOCAL_STUBS = "local_stubs"


class Application(BoundedServer, FastAPI):
    """FastAPI behind our own middleware and direct routes, with a limited number of connections."""

    settings: HttpSettings
    direct: dict[str, Route]

    @cached_property
    def front(self) -> ASGIApp:
        """Our own middleware, the direct routes, and FastAPI for all other requests."""
        answering = DirectRoutes(self.direct, partial(FastAPI.__call__, self), self.exception_handlers)
        checking = ParametersMiddleware(answering, routes_of=self)
        has_keys = self.settings.api_keys is not None
        guarding = WebGuard(checking, WebSettings.read(), check_host=not has_keys, refuse=error_response)
        return AccessMiddleware(guarding, self.settings, RequestMetrics(self).record)

    def build_middleware_stack(self) -> ASGIApp:
        """Return FastAPI's middleware without the outermost, which answers errors: AccessMiddleware does that."""
        stack = super().build_middleware_stack()
        assert isinstance(stack, ServerErrorMiddleware)
        return stack.app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer requests through `front`; limit the connections when the server starts."""
        if scope["type"] == "http":
            scope["app"] = self
            await self.front(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def create_app(
    title: str,
    summary: str,
    target: str,
    settings: HttpSettings,
    stubs: Mapping[str, Callable[[Any], Any]],
    *,
    batch_concurrency: int,
) -> Application:
    """Return an app with a gRPC channel to `target`.

    Each of `stubs` is created once and stored in `app.state` under its name. `batch_concurrency` limits the concurrent
    calls of all batches together.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.ending, app.state.health_state = asyncio.Event(), HealthState()
        app.state.batches = BatchCalls(batch_concurrency)
        local = getattr(app.state, _LOCAL_STUBS, None)
        if local is not None:  # embedded in another process, which configures logging
            _set_stubs(app, local)
            yield
            return
        logging.configure(title.lower().replace(" ", "_"))
        async with SplitChannel(target, settings.tls) as channel:
            _set_stubs(app, {name: stub(channel) for name, stub in stubs.items()})
            tune_gc(first=True)
            with set_on_signal(app.state.ending):
                yield

    app = FastAPIOffline(
        title=title, summary=summary, version=version("vouch"), lifespan=lifespan, redoc_url=None,
        generate_unique_id_function=lambda route: route.name,  # stable ids, which name the methods of generated clients
    )  # fmt: skip
    app.__class__ = Application  # FastAPIOffline is a function that returns a FastAPI
    assert isinstance(app, Application)
    app.settings, app.direct = settings, {}
    install_error_handlers(app)
    add_metrics_route(app)
    app.router.routes.append(Route("/", _redirect_to_docs, methods=["GET"], include_in_schema=False))
    redact_access_log(app)
    complete_document(app)
    return app


async def _redirect_to_docs(request: Request) -> Response:
    """Lead a person who opens the port in a browser to the documentation."""
    return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")


def use_local_stubs(app: FastAPI, stubs: Mapping[str, Any]) -> FastAPI:
    """Let an app call services of its own process by these stubs, instead of over a channel."""
    setattr(app.state, _LOCAL_STUBS, stubs)
    return app


def _set_stubs(app: FastAPI, stubs: Mapping[str, Any]) -> None:
    for name, stub in stubs.items():
        setattr(app.state, name, stub)


def post(app: Application, path: str, endpoint: Callable[[Request], Awaitable[Response]], **described: Any) -> None:
    """Answer POST requests for a path by `endpoint`, without FastAPI, which only describes it in OpenAPI."""
    app.post(path, **described)(endpoint)
    app.direct[path] = Route(path, endpoint, methods=["POST"])
    app.router.routes.insert(0, app.direct[path])  # for paths below a proxy's root path


async def call_service(request: Request, method: Any, message: Message, settings: HttpSettings) -> Response:
    """Call a service with the caller's request id and key. Return its message as JSON, with its RELAYED_HEADERS."""
    call = method(message, timeout=timeout(request, settings), metadata=metadata(request))
    content, sent = await to_json(await call), await call.initial_metadata()
    return JsonResponse(content, [(name.encode(), value.encode()) for name, value in sent if name in RELAYED_HEADERS])


class JsonResponse(Response):
    """A response of JSON that is written already. Starlette's constructor takes as long as writing it."""

    def __init__(self, content: bytes, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self.status_code, self.background, self.body = 200, None, content
        self.raw_headers = [
            (b"content-length", b"%d" % len(content)), (b"content-type", b"application/json"), *headers,
        ]  # fmt: skip


QueryTime = Annotated[str, Query(max_length=64), WithJsonSchema({"anyOf": [SCHEMA, {"const": ""}], "default": ""})]
"""A time in a query; empty if absent."""


def query_time(name: str, text: str) -> Timestamp:
    """Parse a time in a query, in the format of request bodies. Raises HTTPException (422) that names it."""
    try:
        return to_timestamp(text)
    except ValueError as error:
        detail = [{"loc": ["query", name], "msg": str(error), "type": "time"}]
        raise HTTPException(422, detail) from error  # type: ignore[arg-type]


def query_value(request: Request, name: str, default: str) -> str:
    """Return a query parameter. Most requests have no query, and parsing none takes time too."""
    return request.query_params.get(name, default) if request.scope["query_string"] else default


async def read_transaction(request: Request, settings: HttpSettings, order: Transaction) -> None:
    """Read a request's body into an empty transaction. Errors name the field."""
    read_order(await read_json(request, settings), order)


def respond_json(values: Any, status: int = 200) -> Response:
    """Return plain values as a JSON response."""
    return Response(dumps(values), status, media_type="application/json")
