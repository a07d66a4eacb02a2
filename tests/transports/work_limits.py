"""Hostile inputs by size, and the assertion that work grows in proportion to it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from testing.inputs.hostile import ORDER
from testing.work import Work

SMALL, LARGE = 200, 2000
"""Parts of a hostile request: ten times as many may cause ten times the work, and not more."""
TOLERANCE, ALLOWANCE = 12, 20_000
LONGEST_TURN = 20_000
"""Limit of steps between two passes of the event loop: some milliseconds."""
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
    **{f"{app} GET {path}": NO_BODY for app in ("ml", "agent") for path in ("/", "/metrics", "/openapi.json", "/docs")},
}  # fmt: skip
"""Every route of both apps, and what it reads."""


async def assert_linear(name: str, asks: Callable[[int], Any]) -> None:
    """Check that ten times the size causes at most ten times the work, and that the event loop is not blocked."""
    await asks(1)  # let one-time work happen now
    small, large = (await asks(SMALL))[1], (await asks(LARGE))[1]
    assert large.steps <= TOLERANCE * small.steps + ALLOWANCE, (name, small, large)
    assert large.longest_turn <= LONGEST_TURN, (name, small, large)


MAX_DIFFERENCE: Final = 100
"""Steps by which equal requests may differ: once a second a key file is checked, or a line of the log is written."""


def difference(works: Sequence[Work]) -> int:
    """Return the difference between the most and the least work."""
    return max(work.steps for work in works) - min(work.steps for work in works)
