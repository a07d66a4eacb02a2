"""Requests to services: the documented REST body, the status of a gRPC call, and raw connections."""

import json
import socket
from typing import Any

import grpc
import httpx

from testing.servers.processes import Stack
from testing.waiting import START_SECONDS

BOTH = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]


def post(stack: Stack, where: tuple[str, str], body: Any, **options: Any) -> httpx.Response:
    """Post a body, as JSON unless it is bytes."""
    sent = {"content": body} if isinstance(body, bytes) else {"content": json.dumps(body)}
    headers = {"content-type": "application/json"} | options.pop("headers", {})
    return httpx.post(stack.url(where[0]) + where[1], headers=headers, timeout=START_SECONDS, **sent, **options)


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    """Return the name of the status that a call ends with."""
    try:
        call(*arguments, timeout=START_SECONDS, **named)
    except grpc.RpcError as error:
        code: str = error.code().name
        return code
    return "OK"


def receive(connection: socket.socket, before: bytes = b"") -> bytes:
    """Return a connection's next bytes; if it has ended, fail with the bytes `before` instead of reading on."""
    content = connection.recv(65_536)
    assert content, f"the connection ended behind {before[-300:]!r}"
    return content
