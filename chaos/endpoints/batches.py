"""Hostile lines and large batches, through the bridge, delay single reviews but fail none."""

import asyncio
import gzip
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from testing.inputs.hostile import ORDER
from testing.servers.processes import Stack

_LINES = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
_JSON = {"content-type": "application/json"}
_SECONDS = 120.0
HOSTILE = {
    "blank lines": (_LINES, gzip.compress(b"\n" * (64 << 20), 9)),
    "refused lines": (_LINES, gzip.compress(b"{}\n" * 400_000, 9)),
    "empty files": (_LINES, gzip.compress(b"") * 50_000),
    "many fields": (_JSON, json.dumps({f"k{number}": 0 for number in range(60_000)}).encode()),
    "a list of lists": (_JSON, b'{"transactions":[[' + b"[]," * 1_000_000 + b"[]]]}"),
}
"""Bodies that once blocked a service for seconds, by name."""


@dataclass
class BatchResult:
    """Statuses of single reviews, of orders in batches, and of hostile requests."""

    singles: "Counter[int]" = field(default_factory=Counter)
    batched: "Counter[int]" = field(default_factory=Counter)
    hostile: "Counter[str]" = field(default_factory=Counter)


async def send_batches_and_singles(
    folder: Path, models: Path, batches: int, orders: int, rounds: int, max_in_flight: int = 32
) -> BatchResult:
    """Send `batches` batches of `orders` orders, and `rounds` of every hostile request, beside single reviews."""
    stack, found = Stack(folder, models, {"VOUCH_AGENT_MAX_IN_FLIGHT": str(max_in_flight)}), BatchResult()
    try:
        stack.start("ml", "agent", "rest_agent")
        await asyncio.to_thread(stack.wait_until_healthy)
        async with httpx.AsyncClient(base_url=stack.url("rest_agent"), timeout=_SECONDS) as client:
            done = asyncio.Event()
            single = asyncio.create_task(_send_singles(client, found, done))
            await asyncio.gather(
                *(_send_batches(client, found, orders, in_lines=bool(number % 2)) for number in range(batches)),
                *(_send_hostile(client, found, kind, rounds) for kind in HOSTILE),
            )
            done.set()
            await single
    finally:
        stack.close()
    return found


async def _send_singles(client: httpx.AsyncClient, found: BatchResult, done: asyncio.Event) -> None:
    while not done.is_set():
        answer = await client.post("/api/v1/review", json=_order())
        found.singles[answer.status_code] += 1


async def _send_batches(client: httpx.AsyncClient, found: BatchResult, orders: int, *, in_lines: bool) -> None:
    many = [_order() for _ in range(orders)]
    if in_lines:
        content = gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in many))
        answer = await client.post("/api/v1/review:batch", content=content, headers=_LINES)
        results = [json.loads(line) for line in answer.text.splitlines()]
    else:
        answer = await client.post("/api/v1/review:batch", json={"transactions": many})
        results = answer.json().get("results", [])
    found.batched.update(one["status"] for one in results)


async def _send_hostile(client: httpx.AsyncClient, found: BatchResult, kind: str, rounds: int) -> None:
    headers, content = HOSTILE[kind]
    for _ in range(rounds):
        answer = await client.post("/api/v1/review:batch", content=content, headers=headers)
        refused = answer.status_code if not answer.is_success else _status_of_last(answer.text)
        found.hostile[f"{kind}: {refused}"] += 1


def _status_of_last(text: str) -> Any:
    lines = text.splitlines()
    return json.loads(lines[-1])["status"] if lines else "nothing"


def _order() -> dict[str, Any]:
    name = uuid.uuid4().hex
    return ORDER | {"transaction_id": name, "user_id": name}
