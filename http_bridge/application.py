"""What both apps share: a channel for their lifetime, reading a transaction, answering with a message."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response
from fastapi_offline import FastAPIOffline
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from orjson import dumps
from pydantic import WithJsonSchema
from starlette.exceptions import HTTPException
from starlette.routing import Route

from generated.vouch.v1.transaction_pb2 import Transaction
from http_bridge.errors import install, problem
from http_bridge.events import ends_with_signals
from http_bridge.health_state import Condition
from http_bridge.json.encoding import to_json
from http_bridge.json.mapping import to_transaction
from http_bridge.json.openapi import describe_keys
from http_bridge.json.times import SCHEMA, to_timestamp
from http_bridge.json.transaction import parse
from http_bridge.middleware.access import Gate, metadata, timeout
from http_bridge.middleware.access_log import keep_ids_out_of_access_log
from http_bridge.middleware.metrics import Measured, show_metrics
from http_bridge.middleware.parameters import Parameters
from http_bridge.queueing import BatchCalls
from http_bridge.receiving import read_json
from http_bridge.settings import HttpSettings
from runtime.client.split_channel import SplitChannel
from runtime.process.event_loop import tune_gc
from runtime.telemetry import logging
from runtime.web.guard import BoundedServer, WebGuard
from runtime.web.settings import WebSettings

SHOWN = ("vouch-replayed",)
"""Headers of gRPC answers that REST shows too."""
_GIVEN = "given_stubs"


class _Application(BoundedServer, FastAPI):
    """FastAPI on bounded connections."""


def application(
    title: str,
    summary: str,
    target: str,
    settings: HttpSettings,
    stubs: Mapping[str, Callable[[Any], Any]],
    *,
    calls_of_batches: int,
) -> FastAPI:
    """An app with a channel to `target`; each of `stubs` is made once and stands in `state` under its name.

    `calls_of_batches` is how many calls all batches together make at once.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.ending, app.state.condition = asyncio.Event(), Condition()
        app.state.batches = BatchCalls(calls_of_batches)
        given = getattr(app.state, _GIVEN, None)
        if given is not None:  # another's process, which has its own log
            _set(app, given)
            yield
            return
        logging.configure(title.lower().replace(" ", "_"))
        async with SplitChannel(target, settings.tls) as channel:
            _set(app, {name: stub(channel) for name, stub in stubs.items()})
            tune_gc(first=True)
            with ends_with_signals(app.state.ending):
                yield

    app = FastAPIOffline(title=title, summary=summary, version="1", lifespan=lifespan, redoc_url=None)
    # FastAPIOffline is a function that makes a FastAPI. What the server calls has to be ours: middleware is called by FastAPI,
    # which hides the server from it.
    app.__class__ = _Application
    install(app)
    app.add_middleware(Parameters, routes_of=app)
    app.add_middleware(WebGuard, settings=WebSettings.read(), check_host=settings.api_keys is None, refuse=problem)
    app.add_middleware(Gate, settings=settings, ended=Measured(app).ended)
    show_metrics(app)
    keep_ids_out_of_access_log(app)
    describe_keys(app)
    return app


def use_local_stubs(app: FastAPI, stubs: Mapping[str, Any]) -> FastAPI:
    """An app that asks services in its own process by stubs of theirs."""
    setattr(app.state, _GIVEN, stubs)
    return app


def _set(app: FastAPI, stubs: Mapping[str, Any]) -> None:
    for name, stub in stubs.items():
        setattr(app.state, name, stub)


def post(app: FastAPI, path: str, endpoint: Callable[[Request], Awaitable[Response]], **described: Any) -> None:
    """Let `endpoint` answer POSTs to a path: described by FastAPI, routed before it.

    What FastAPI does around an endpoint (dependencies, parameters, exit stacks) takes a third of a call, and these need none.
    """
    app.post(path, **described)(endpoint)
    app.router.routes.insert(0, Route(path, endpoint, methods=["POST"]))


async def ask(request: Request, method: Any, message: Message, settings: HttpSettings) -> Response:
    """Call a service with the caller's request id and key, and answer as it does; of its headers those of SHOWN."""
    call = method(message, timeout=timeout(request, settings), metadata=metadata(request))
    response = Response(await to_json(await call), media_type="application/json")
    for name, value in await call.initial_metadata():
        if name in SHOWN:
            response.headers[name] = value
    return response


QueryTime = Annotated[str, Query(max_length=64), WithJsonSchema({"anyOf": [SCHEMA, {"const": ""}], "default": ""})]
"""A time in a query; empty for none."""


def query_time(name: str, text: str) -> Timestamp:
    """A time in a query, written as in bodies. Raises HTTPException (422) that names it."""
    try:
        return to_timestamp(text)
    except ValueError as error:
        detail = [{"loc": ["query", name], "msg": str(error), "type": "time"}]
        raise HTTPException(422, detail) from error  # type: ignore[arg-type]


async def read_transaction(request: Request, settings: HttpSettings) -> Transaction:
    """The transaction in a request's body; errors name the field."""
    return to_transaction(parse(await read_json(request, settings)))


def respond_json(values: Any, status: int = 200) -> Response:
    """Plain values as JSON."""
    return Response(dumps(values), status, media_type="application/json")
