"""All doors for one order, and what they say to a body."""

import json
from typing import Any

import httpx

from testing.servers.processes import Stack

REST = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]

EDGE = [("edge", "/v1/transactions:predict"), ("edge", "/v1/transactions:review"), ("edge", "/api/v1/predict")]

JSON_TYPE = {"content-type": "application/json"}


def answered(client: httpx.Client, stack: Stack, door: tuple[str, str], body: bytes, **headers: str) -> httpx.Response:
    """What a door says to a body."""
    return client.post(stack.url(door[0]) + door[1], content=body, headers=JSON_TYPE | headers)


def encoded(order: dict[str, Any]) -> bytes:
    """A body in JSON, also where it holds what JSON has no word for."""
    return json.dumps(order).encode("utf-8", "surrogatepass")
