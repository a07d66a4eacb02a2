"""No caller makes us work more than in proportion to what it sends, and who shows no key not even that.

Work is counted in calls, so that these tests say the same on every machine; see testing/work.py. Every door has its row here.
"""

import asyncio
import contextlib
import gzip
import importlib
import json
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
import pytest
from fastapi import FastAPI
from google.protobuf.descriptor import MethodDescriptor
from starlette.routing import Mount, Route

from agent_server import running as deciding
from generated.vouch import v1
from ml_server.serving import running as scoring
from runtime.access.keys import digest, new_key
from runtime.rpc.handlers import handlers
from runtime.rpc.local import LocalContext
from testing.in_process import Doors, bridge_app, doors
from testing.inputs.hostile import ORDER
from testing.work import Work, measured

SMALL, LARGE = 200, 2000
"""Parts of a hostile request: ten times as many may make ten times the work, and not more."""
TOLERANCE, BESIDE = 12, 20_000
LONGEST_TURN = 20_000
"""Steps without a turn of others, at most: some milliseconds."""

Body = Callable[[int], bytes]


def _object(*pairs: str) -> bytes:
    return ("{" + ",".join(pairs) + "}").encode()


BODIES: Final[Mapping[str, Body]] = {
    "many fields": lambda n: _object(*(f'"k{i}":0' for i in range(n))),
    "one field again and again": lambda n: _object(*('"user_id":"u"' for _ in range(n))),
    "fields and a repeated one": lambda n: _object(*(f'"k{i}":0' for i in range(min(n, 900))), '"k0":0'),
    "deep lists": lambda n: b'{"a":' + b"[" * n + b"]" * n + b"}",
    "deep objects": lambda n: b'{"a":' * n + b"0" + b"}" * n,
    "a long text": lambda n: json.dumps(ORDER | {"user_id": "x" * 25 * n}).encode(),
    "a text of escapes": lambda n: b'{"user_id":"' + rb"\u00e9" * n + b'"}',
    "a long number": lambda n: b'{"order_amount":' + b"1" * n + b"}",
    "a long number in a text": lambda n: json.dumps(ORDER | {"order_amount": "1" * 25 * n + "x"}).encode(),
    "many extras": lambda n: json.dumps(ORDER | {"extra": {f"V{i}": i for i in range(n)}}).encode(),
    "many elements": lambda n: b'{"transactions":[' + b",".join([b"{}"] * n) + b"]}",
    "an element of many parts": lambda n: b'{"transactions":[[' + b",".join([b"[]"] * n) + b"]]}",
    "an open quote": lambda n: b'{"transactions":["' + b'\\"' * n,
    "quotes and spaces": lambda n: b'" ' * n,
    "no JSON": lambda n: b"\xff" * n,
}
LINES: Final[Mapping[str, Body]] = {
    "blank lines": lambda n: b"\n" * 25 * n,
    "lines that are no orders": lambda n: b"{}\n" * n,
    "lines of rubbish": lambda n: b"[[[\n" * n,
    "one long line": lambda n: b" " * 25 * n,
    **{name: lambda n, body=body: body(n) + b"\n" for name, body in BODIES.items()},  # type: ignore[misc]
}
QUERIES: Final[Mapping[str, Body]] = {
    "a long value": lambda n: b"user_id=" + b"x" * n,
    "many parameters": lambda n: b"&".join(b"k%d=1" % i for i in range(n)),
    "one parameter again and again": lambda n: b"&".join([b"page_size=1"] * n),
    "escapes": lambda n: b"%41" * n,
    "separators": lambda n: b"&=" * n,
}
HEADERS: Final[Mapping[str, Callable[[int], list[tuple[bytes, bytes]]]]] = {
    "many headers": lambda n: [(b"x-h%d" % i, b"1") for i in range(n)],
    "one header again and again": lambda n: [(b"x-api-key", b"k")] * n,
    "a long key": lambda n: [(b"x-api-key", b"k" * n)],
    "a long origin": lambda n: [(b"origin", b"http://" + b":1" * n)],
    "a long deadline": lambda n: [(b"x-request-timeout", b"1" * n)],
}
NO_BODY, ONE, MANY = "no body", "one JSON object", "a list or lines"
REST: Final[Mapping[str, str]] = {
    "ml GET /api/v1/health": NO_BODY,
    "ml GET /api/v1/model/info": NO_BODY,
    "ml GET /api/v1/model/report": NO_BODY,
    "ml POST /api/v1/predict": ONE,
    "ml POST /api/v1/predict:batch": MANY,
    "agent GET /api/v1/health": NO_BODY,
    "agent GET /api/v1/agent/info": NO_BODY,
    "agent POST /api/v1/review": ONE,
    "agent POST /api/v1/review:batch": MANY,
    "agent GET /api/v1/decisions/{transaction_id:path}": NO_BODY,
    "agent GET /api/v1/decisions:links": NO_BODY,
    "agent GET /api/v1/decisions:verify": NO_BODY,
    "agent GET /api/v1/decisions": NO_BODY,
    "agent GET /api/v1/cases": NO_BODY,
    "agent GET /api/v1/cases/watch": NO_BODY,
    "agent GET /api/v1/reviewers": NO_BODY,
    "agent GET /api/v1/cases/{case_id}": NO_BODY,
    "agent POST /api/v1/cases/next": ONE,
    "agent POST /api/v1/outcomes": ONE,
    "agent GET /api/v1/outcomes": NO_BODY,
    **{f"agent POST /api/v1/cases/{{case_id}}/{step}": ONE for step in ("claim", "renew", "release", "resolve", "comment")},
    **{f"{app} GET {path}": NO_BODY for app in ("ml", "agent") for path in ("/metrics", "/openapi.json", "/docs")},
}  # fmt: skip
"""Every route of both apps, and what it reads."""
WITHOUT: Final = ("/docs/oauth2-redirect",)
"""A page that asks us nothing."""


def routes_of(app: FastAPI) -> set[str]:
    """Method and path of every route."""
    return {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, Route) and route.path not in WITHOUT
        for method in (route.methods or set()) - {"HEAD"}
    }


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Doors]:
    """Real services without a model: what is hostile is refused before a score is asked for."""
    async with doors(tmp_path / "none", tmp_path) as found:
        yield found


def test_every_route_has_a_row() -> None:
    """A route that is new belongs into the table."""
    for name in ("ml", "agent"):
        app = bridge_app(name)
        assert {f"{name} {route}" for route in routes_of(app)} == {row for row in REST if row.startswith(f"{name} ")}
        assert all(isinstance(route, Route | Mount) for route in app.routes)


async def ask(
    app: FastAPI, method: str, path: str, body: bytes = b"", query: bytes = b"", headers: list[tuple[bytes, bytes]] = []  # noqa: B006
) -> tuple[int, Work, int]:  # fmt: skip
    """Ask an app in this process; its status, the work that it took, and how often the body was asked for."""
    parts = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]
    asked, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal asked
        asked += 1
        if asked > len(parts):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts[asked - 1], "more_body": asked < len(parts)}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    path = path.replace("{case_id}", "c").replace("{transaction_id:path}", "t")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1"), *headers], "state": {},
    }  # fmt: skip
    with measured() as work, _turns_of_the_loop(work):
        async with asyncio.timeout(60):
            await app(scope, receive, send)
    return status, work, asked


@contextlib.contextmanager
def _turns_of_the_loop(work: Work) -> Iterator[None]:
    """Note each time that the loop looks for what others wait for: then whoever is ready has a turn."""
    loop: Any = asyncio.get_running_loop()
    selector = loop._selector
    select = selector.select

    def selecting(timeout: float | None = None) -> Any:
        work.turn()
        return select(timeout)

    selector.select = selecting
    try:
        yield
    finally:
        del selector.select


async def assert_linear(name: str, asks: Callable[[int], Any]) -> None:
    """Ten times the size makes no more than ten times the work, and others have their turn."""
    await asks(1)  # what is made once is made now
    small, large = (await asks(SMALL))[1], (await asks(LARGE))[1]
    assert large.steps <= TOLERANCE * small.steps + BESIDE, (name, small, large)
    assert large.longest_turn <= LONGEST_TURN, (name, small, large)


JSON_KIND, LINES_KIND = (b"content-type", b"application/json"), (b"content-type", b"application/x-ndjson")
GZIP = (b"content-encoding", b"gzip")


Shape = tuple[str, Callable[[int], dict[str, Any]]]


def shapes(reads: str) -> list[Shape]:
    """What is sent to a route, by size."""

    def sent(name: str, part: str, made: Callable[[int], Any], *headers: tuple[bytes, bytes]) -> Shape:
        return name, lambda n: {part: made(n), **({"headers": list(headers)} if headers else {})}

    found = [sent(name, "query", made) for name, made in QUERIES.items()]
    found += [sent(name, "headers", made) for name, made in HEADERS.items()]
    if reads != NO_BODY:
        found += [sent(name, "body", made, JSON_KIND) for name, made in BODIES.items()]
    if reads == MANY:
        found += [sent(name, "body", made, LINES_KIND) for name, made in LINES.items()]
        found += [sent(f"{name}, packed", "body", packed(made), LINES_KIND, GZIP) for name, made in LINES.items()]
    return found


def packed(made: Body) -> Body:
    """A body in gzip."""
    return lambda n: gzip.compress(made(n))


async def test_rest_does_no_more_than_in_proportion(here: Doors) -> None:
    """Hostile bodies, lines, queries and headers at every route of both apps: linear work, in slices."""
    for row, reads in REST.items():
        name, method, path = row.split(" ")
        if path.endswith("/watch"):
            continue  # a stream; its query is looked at like all others
        for shape, made in shapes(reads):
            await assert_linear(f"{row}: {shape}", asking(here.apps[name], method, path, made))


def asking(app: FastAPI, method: str, path: str, made: Callable[[int], dict[str, Any]]) -> Callable[[int], Any]:
    """Ask a route with a request of some size."""
    return lambda n: ask(app, method, path, **made(n))


UNEVEN: Final = 100
"""Steps by which equal requests may differ: once a second a key file is looked at, or a line of the log is written."""


def spread(works: Sequence[Work]) -> int:
    """By how many steps the most and the least work differ."""
    return max(work.steps for work in works) - min(work.steps for work in works)


async def test_rest_reads_no_body_before_the_key(tmp_path: Path) -> None:
    """Without a known key every route answers 401 after the same work, however large the body is, and reads none of it."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    for name in ("ml", "agent"):
        app = bridge_app(name, api_keys=str(keys))
        for row, reads in REST.items():
            owner, method, path = row.split(" ")
            if owner != name or reads == NO_BODY:
                continue
            for shape, body in {**BODIES, **LINES}.items():
                found = [await ask(app, method, path, body(n), headers=[JSON_KIND]) for n in (1, 1, SMALL, LARGE)][1:]
                assert {status for status, _, _ in found} == {401}, (row, shape)
                assert {asked for _, _, asked in found} == {0}, (row, shape)
                assert spread([work for _, work, _ in found]) <= UNEVEN, (row, shape, found)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def delimited(field: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def nested(depth: int) -> bytes:
    """A message in a message and so on."""
    content = b""
    for _ in range(depth):
        content = delimited(1, content)
    return content


MESSAGES: Final[Mapping[str, Body]] = {
    "unknown numbers": lambda n: b"\x78\x00" * 10 * n,
    "unknown texts": lambda n: delimited(15, b"x") * n,
    "the first field again and again": lambda n: b"\x0a\x00" * 10 * n,
    "the fourth field again and again": lambda n: b"\x22\x00" * 10 * n,
    "deep messages": lambda n: nested(min(n, 1000)),
    "a long text": lambda n: delimited(1, b"x" * 25 * n),
    "a text of rubbish": lambda n: delimited(1, b"\xff" * n),
    "many extras": lambda n: delimited(1, b"".join(delimited(44, delimited(1, b"V%d" % i)) for i in range(n))),
    "rubbish": lambda n: b"\xff" * 25 * n,
    "open groups": lambda n: b"\x0b" * n,
}


SERVICES: Final = (scoring.SERVICE, deciding.AGENT, deciding.CASES, deciding.OUTCOMES, deciding.PRIVACY)


def test_every_service_has_a_row() -> None:
    """A service that is new in the contract belongs into the table."""
    modules = [
        importlib.import_module(f"generated.vouch.v1.{module.name}") for module in pkgutil.iter_modules(v1.__path__)
    ]
    known = {
        service
        for module in modules
        if hasattr(module, "DESCRIPTOR")
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    assert {service.full_name for service in known} == {service.full_name for service in SERVICES}


def methods() -> list[tuple[Any, MethodDescriptor]]:
    """Every RPC that our servers have, with its service."""
    return [(service, method) for service in SERVICES for method in service.methods]


async def call(server: Any, service: Any, method: MethodDescriptor, content: bytes) -> tuple[str, Work]:
    """Call a server's handler with bytes, as gRPC does; the code it ends with, and the work."""
    generic = handlers(service, server._services[service], server.guard)
    details: Any = SimpleNamespace(method=f"/{service.full_name}/{method.name}", invocation_metadata=())
    handler: Any = generic.service(details)
    context = LocalContext(20.0, ())
    with measured() as work:
        try:
            request = handler.request_deserializer(content) if handler.request_deserializer else content
            if method.server_streaming:
                stream = handler.unary_stream(request, context)
                async for _ in stream:
                    break
                await stream.aclose()
            else:
                await handler.unary_unary(request, context)
        except grpc.aio.AbortError as aborted:
            return str(getattr(aborted, "code", "")), work
    return "OK", work


async def test_grpc_does_no_more_than_in_proportion(here: Doors) -> None:
    """Hostile bytes at every RPC of the contract: linear work."""
    for service, method in methods():
        if method.name == "WatchCases":
            continue  # an accepted one waits for news
        for shape, content in MESSAGES.items():
            await assert_linear(
                f"{method.full_name}: {shape}", calling(here.server_of(service), service, method, content)
            )


def calling(server: Any, service: Any, method: MethodDescriptor, content: Body) -> Callable[[int], Any]:
    """Call an RPC with a message of some size."""
    return lambda n: call(server, service, method, content(n))


async def test_grpc_reads_no_bytes_before_the_key(tmp_path: Path) -> None:
    """Without a known key every RPC is UNAUTHENTICATED after the same work, however large the message is."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    async with doors(tmp_path / "none", tmp_path, agent={"api_keys": keys}, ml={"api_keys": keys}) as found:
        for service, method in methods():
            for shape, content in MESSAGES.items():
                said = [
                    await call(found.server_of(service), service, method, content(n)) for n in (1, 1, SMALL, LARGE)
                ][1:]
                assert {code for code, _ in said} == {str(grpc.StatusCode.UNAUTHENTICATED)}, (method.name, shape)
                assert spread([work for _, work in said]) <= UNEVEN, (method.full_name, shape, said)
