"""The edge's memory: endless requests are dropped before they take all of it, and others are answered meanwhile."""

import contextlib
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testing.servers.replicas import envoy
from testing.waiting import wait_for
from tests.edge.conftest import answers_anything

pytestmark = pytest.mark.envoy
MIB = 1 << 20
UNFINISHED = 3 * MIB
"""Bytes of a request that the edge buffers while it waits for the rest."""
MOST = 100
"""Requests that need more than twice the memory limit of the edge."""
_SERVICES = ("scorer", "agent", "bridge-ml", "bridge-agent", "console")
_RESET = 3


@pytest.fixture
def small_edge(tmp_path: Path) -> Iterator[str]:
    """Run an edge without services, with little memory and long timeouts; yield its address."""
    variables = {"VOUCH_EDGE_MAX_MEMORY_MIB": "128", "VOUCH_WEB_BODY_SECONDS": "600"}
    with envoy(tmp_path / "log", *(f"--{name}=1" for name in _SERVICES), **variables) as address:
        wait_for(lambda: answers_anything(f"http://{address}"), what="the edge")
        yield address


def connect(address: str) -> socket.socket:
    """Connect to the edge."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), 60)


def is_readable(connection: socket.socket) -> bool:
    """Return whether the edge has sent something, or closed."""
    return bool(select.select([connection], [], [], 0)[0])


def is_refused_at_once(address: str) -> bool:
    """Return whether a new request is refused for lack of memory, or its connection is not accepted."""
    try:
        return httpx.get(f"http://{address}/nothing", headers={"host": "localhost"}, timeout=60).status_code == 503
    except httpx.TimeoutException:
        return False
    except httpx.HTTPError:
        return True


def received(connection: socket.socket) -> bytes:
    """Return the bytes that the edge has sent so far."""
    received_bytes = b""
    while is_readable(connection) and (new := connection.recv(MIB)):
        received_bytes += new
    return received_bytes


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    """Return an HTTP/2 frame."""
    return struct.pack(">I", len(content))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + content


def literal(name: bytes, value: bytes) -> bytes:
    """Return an HTTP/2 header as a literal."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def kinds(content: bytes) -> set[int]:
    """Return the types of the complete frames that the edge sent."""
    found, place = set(), 0
    while place + 9 <= len(content):
        found.add(content[place + 3])
        place += 9 + int.from_bytes(content[place : place + 3], "big")
    return found


def test_streams_that_hold_most_are_reset(small_edge: str) -> None:
    """Of many large unfinished requests on one HTTP/2 connection some are reset; another caller is answered."""
    path = literal(b":path", b"/vouch.v1.AgentService/Review") + literal(b":authority", b"localhost")
    headers = b"\x83\x86" + path + literal(b"content-type", b"application/grpc") + literal(b"te", b"trailers")
    piece, received_bytes = b"\x00" * (16 << 10), b""
    with connect(small_edge) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        numbers = range(1, 2 * MOST, 2)
        length = b"\x00" + struct.pack(">I", UNFINISHED)
        connection.sendall(b"".join(frame(1, 4, number, headers) for number in numbers))
        connection.sendall(b"".join(frame(0, 0, number, length) for number in numbers))
        for _ in range(UNFINISHED // len(piece) - 1):
            for number in numbers:
                connection.sendall(frame(0, 0, number, piece))
            received_bytes += received(connection)
            if _RESET in kinds(received_bytes):
                break

        def is_reset() -> bool:
            nonlocal received_bytes
            received_bytes += received(connection)
            return _RESET in kinds(received_bytes)

        wait_for(is_reset, what="a reset")  # memory is checked at intervals; it stays in use meanwhile
        wait_for(lambda: answers_anything(f"http://{small_edge}"), what="an answer to another caller")


def test_connections_are_refused_while_memory_is_short(small_edge: str) -> None:
    """Of many large unfinished HTTP/1 requests some are refused; once they have ended everybody is answered."""
    head = b"POST /api/v1/review HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with contextlib.ExitStack() as opened:
        connections: list[socket.socket] = []

        def is_refused() -> bool:
            """Return whether an unfinished or a new request was refused."""
            return any(is_readable(connection) for connection in connections) or is_refused_at_once(small_edge)

        with contextlib.suppress(ConnectionError):  # that is a refusal as well
            while len(connections) < MOST and not any(is_readable(connection) for connection in connections):
                connections.append(opened.enter_context(connect(small_edge)))
                connections[-1].sendall(head + b"content-length: %d\r\n\r\n" % (4 * MIB) + b" " * UNFINISHED)
        wait_for(is_refused, what="a refusal")  # memory is checked at intervals; it stays in use meanwhile
    wait_for(lambda: answers_anything(f"http://{small_edge}"), what="an answer after that")
