"""Shared parts of both apps: the gRPC channel, request parsing, and responses made from messages."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi_offline import FastAPIOffline
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from orjson import dumps
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Route

from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.batch_calls import BatchCalls
from http_bridge.errors import error_response, install_error_handlers
from http_bridge.events import set_on_signal
from http_bridge.health_state import HealthState
from http_bridge.json.encoding import to_json
from http_bridge.json.mapping import to_transaction
from http_bridge.json.times import SCHEMA, to_timestamp
from http_bridge.json.transaction import parse
from http_bridge.middleware.access import AccessMiddleware, metadata, timeout
from http_bridge.middleware.access_log import redact_access_log
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


class _Application(BoundedServer, FastAPI):
    """FastAPI with a limited number of connections."""


def create_app(
    title: str,
    summary: str,
    target: str,
    settings: HttpSettings,
    stubs: Mapping[str, Callable[[Any], Any]],
    *,
    batch_concurrency: int,
) -> FastAPI:
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
    # FastAPIOffline is a function that returns a FastAPI. The outermost app must be ours: FastAPI calls middleware, and
    # hides the server from it.
    app.__class__ = _Application
    install_error_handlers(app)
    app.add_middleware(ParametersMiddleware, routes_of=app)
    app.add_middleware(
        WebGuard, settings=WebSettings.read(), check_host=settings.api_keys is None, refuse=error_response
    )
    app.add_middleware(AccessMiddleware, settings=settings, record=RequestMetrics(app).record)
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


def post(app: FastAPI, path: str, endpoint: Callable[[Request], Awaitable[Response]], **described: Any) -> None:
    """Route POST requests for a path to `endpoint`, before FastAPI's own routes; FastAPI only describes it in OpenAPI.

    FastAPI's work around an endpoint (dependencies, parameters, exit stacks) takes a third of a call, and these need
    none.
    """
    app.post(path, **described)(endpoint)
    app.router.routes.insert(0, Route(path, endpoint, methods=["POST"]))


async def call_service(request: Request, method: Any, message: Message, settings: HttpSettings) -> Response:
    """Call a service with the caller's request id and key. Return its message as JSON, with its RELAYED_HEADERS."""
    call = method(message, timeout=timeout(request, settings), metadata=metadata(request))
    response = Response(await to_json(await call), media_type="application/json")
    for name, value in await call.initial_metadata():
        if name in RELAYED_HEADERS:
            response.headers[name] = value
    return response


QueryTime = Annotated[str, Query(max_length=64), WithJsonSchema({"anyOf": [SCHEMA, {"const": ""}], "default": ""})]
"""A time in a query; empty if absent."""


def query_time(name: str, text: str) -> Timestamp:
    """Parse a time in a query, in the format of request bodies. Raises HTTPException (422) that names it."""
    try:
        return to_timestamp(text)
    except ValueError as error:
        detail = [{"loc": ["query", name], "msg": str(error), "type": "time"}]
        raise HTTPException(422, detail) from error  # type: ignore[arg-type]


async def read_transaction(request: Request, settings: HttpSettings) -> Transaction:
    """Read the transaction from a request's body. Errors name the field."""
    return to_transaction(parse(await read_json(request, settings)))


def respond_json(values: Any, status: int = 200) -> Response:
    """Return plain values as a JSON response."""
    return Response(dumps(values), status, media_type="application/json")
