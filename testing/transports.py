"""All transports for one order, and their answers to a body."""

import json
from typing import Any

import httpx

from testing.servers.processes import Stack

REST = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]

EDGE = [("edge", "/v1/transactions:predict"), ("edge", "/v1/transactions:review"), ("edge", "/api/v1/predict")]

JSON_TYPE = {"content-type": "application/json"}


def answer_of(
    client: httpx.Client, stack: Stack, endpoint: tuple[str, str], body: bytes, **headers: str
) -> httpx.Response:
    """Return the answer of a transport to a body."""
    return client.post(stack.url(endpoint[0]) + endpoint[1], content=body, headers=JSON_TYPE | headers)


def encode_body(order: dict[str, Any]) -> bytes:
    """Encode a body as JSON, also if it contains values that JSON has no syntax for."""
    return json.dumps(order).encode("utf-8", "surrogatepass")
