"""Asking services: the documented REST, and the status that a gRPC call ends with."""

import json
import socket
from typing import Any

import grpc
import httpx

from testing.servers.processes import Stack
from testing.waiting import START_SECONDS

BOTH = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]


def post(stack: Stack, where: tuple[str, str], body: Any, **options: Any) -> httpx.Response:
    """Post a body, JSON unless it is bytes."""
    sent = {"content": body} if isinstance(body, bytes) else {"content": json.dumps(body)}
    headers = {"content-type": "application/json"} | options.pop("headers", {})
    return httpx.post(stack.url(where[0]) + where[1], headers=headers, timeout=START_SECONDS, **sent, **options)


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    """Name of the status that a call ends with."""
    try:
        call(*arguments, timeout=START_SECONDS, **named)
    except grpc.RpcError as error:
        code: str = error.code().name
        return code
    return "OK"


def receive(connection: socket.socket, before: bytes = b"") -> bytes:
    """Return what comes next on a connection; one that ends fails with what came `before`, instead of being read for ever."""
    content = connection.recv(65_536)
    assert content, f"the connection ended behind {before[-300:]!r}"
    return content
