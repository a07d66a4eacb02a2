"""Work per REST request grows at most in proportion to its size, and is constant without a key.

Work is counted in calls, so that these tests are independent of the machine; see testing/work.py. Every route has its
row.
"""

import asyncio
import contextlib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.routing import Mount, Route

from runtime.access.keys import digest, new_key
from testing.in_process import LocalServices, bridge_app
from testing.work import Work, measure_work
from tests.transports.work_limits import (
    BODIES,
    HEADERS,
    LARGE,
    LINES,
    MANY,
    MAX_DIFFERENCE,
    NO_BODY,
    QUERIES,
    REST,
    SMALL,
    Body,
    assert_linear,
    difference,
)

WITHOUT: Final = ("/docs/oauth2-redirect",)
"""A page that sends us nothing."""


def routes_of(app: FastAPI) -> set[str]:
    """Return method and path of every route."""
    return {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, Route) and route.path not in WITHOUT
        for method in (route.methods or set()) - {"HEAD"}
    }


def test_every_route_has_a_row() -> None:
    """A new route belongs in the table."""
    for name in ("ml", "agent"):
        app = bridge_app(name)
        assert {f"{name} {route}" for route in routes_of(app)} == {row for row in REST if row.startswith(f"{name} ")}
        assert all(isinstance(route, Route | Mount) for route in app.routes)


async def call_app(
    app: FastAPI, method: str, path: str, body: bytes = b"", query: bytes = b"", headers: list[tuple[bytes, bytes]] = []  # noqa: B006
) -> tuple[int, Work, int]:  # fmt: skip
    """Call an app in this process; return its status, the work, and how often the body was read."""
    parts = [body[start : start + 65_536] for start in range(0, len(body), 65_536)] or [b""]
    body_reads, status = 0, 0

    async def receive() -> dict[str, Any]:
        nonlocal body_reads
        body_reads += 1
        if body_reads > len(parts):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": parts[body_reads - 1], "more_body": body_reads < len(parts)}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    path = path.replace("{case_id}", "c").replace("{transaction_id:path}", "t")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"host", b"127.0.0.1"), *headers], "state": {},
    }  # fmt: skip
    with measure_work() as work, _count_loop_turns(work):
        async with asyncio.timeout(60):
            await app(scope, receive, send)
    return status, work, body_reads


@contextlib.contextmanager
def _count_loop_turns(work: Work) -> Iterator[None]:
    """Record each pass of the event loop, in which other ready tasks run."""
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


JSON_KIND, LINES_KIND = (b"content-type", b"application/json"), (b"content-type", b"application/x-ndjson")
GZIP = (b"content-encoding", b"gzip")
Shape = tuple[str, Callable[[int], dict[str, Any]]]


def shapes(reads: str) -> list[Shape]:
    """Return the requests for a route, by size."""

    def sent(name: str, part: str, made: Callable[[int], Any], *headers: tuple[bytes, bytes]) -> Shape:
        return name, lambda n: {part: made(n), **({"headers": list(headers)} if headers else {})}

    found = [sent(name, "query", made) for name, made in QUERIES.items()]
    found += [sent(name, "headers", made) for name, made in HEADERS.items()]
    if reads != NO_BODY:
        found += [sent(name, "body", made, JSON_KIND) for name, made in BODIES.items()]
    if reads == MANY:
        found += [sent(name, "body", made, LINES_KIND) for name, made in LINES.items()]
        found += [sent(f"{name}, packed", "body", compressed(made), LINES_KIND, GZIP) for name, made in LINES.items()]
    return found


def compressed(made: Body) -> Body:
    """Return a body compressed with gzip."""
    return lambda n: gzip.compress(made(n))


async def test_rest_does_no_more_than_in_proportion(transports: LocalServices) -> None:
    """Hostile bodies, lines, queries and headers at every route of both apps cause linear work, in slices."""
    for row, reads in REST.items():
        name, method, path = row.split(" ")
        if path.endswith("/watch"):
            continue  # a stream; its query is parsed like all others
        for shape, made in shapes(reads):
            await assert_linear(f"{row}: {shape}", calling(transports.apps[name], method, path, made))


def calling(app: FastAPI, method: str, path: str, made: Callable[[int], dict[str, Any]]) -> Callable[[int], Any]:
    """Return a function that calls a route with a request of some size."""
    return lambda n: call_app(app, method, path, **made(n))


async def test_rest_reads_no_body_before_the_key(tmp_path: Path) -> None:
    """Without a known key every route answers 401 after the same work, for any size of the body, unread."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    for name in ("ml", "agent"):
        app = bridge_app(name, api_keys=str(keys))
        for row, reads in REST.items():
            owner, method, path = row.split(" ")
            if owner != name or reads == NO_BODY:
                continue
            for shape, body in {**BODIES, **LINES}.items():
                found = [await call_app(app, method, path, body(n), headers=[JSON_KIND]) for n in (1, 1, SMALL, LARGE)][
                    1:
                ]
                assert {status for status, _, _ in found} == {401}, (row, shape)
                assert {body_reads for _, _, body_reads in found} == {0}, (row, shape)
                assert difference([work for _, work, _ in found]) <= MAX_DIFFERENCE, (row, shape, found)
