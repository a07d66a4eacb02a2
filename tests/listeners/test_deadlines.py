"""Deadlines of every HTTP listener: incomplete requests are closed, slow clients are served."""

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.requests import receive
from tests.listeners.conftest import LISTENERS, NOT_HTTP, Listener, Served

pytestmark = pytest.mark.envoy
WIDE_SECONDS = 60.0
"""Timeout for the close, in seconds: far above the short deadlines, below any default of a library."""
PAUSE_SECONDS = 0.05


def head(listener: Listener, method: str, path: str, *lines: str) -> bytes:
    """Return a request's headers."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post_head(listener: Listener, length: int) -> bytes:
    """Return the headers of a POST with a body of `length` bytes."""
    lines = (f"Content-Type: {listener.kind}", f"Content-Length: {length}", "Origin: http://localhost")
    return head(listener, "POST", listener.posts_to, *lines)


def connect(served: Served, name: str) -> socket.socket:
    """Connect to a listener."""
    return socket.create_connection(("127.0.0.1", served.ports[name]), timeout=WIDE_SECONDS)


def is_closed(connection: socket.socket, dribble: Iterable[bytes] = ()) -> bool:
    """Return whether the other side closes, while bytes are sent at intervals; its answer before that is read."""
    until, rest = time.monotonic() + WIDE_SECONDS, iter(dribble)
    connection.settimeout(PAUSE_SECONDS)
    while time.monotonic() < until:
        try:
            for byte in itertools.islice(rest, 1):
                connection.sendall(byte)
            if connection.recv(65_536) == b"":
                return True
        except TimeoutError:
            continue
        except OSError:  # reset
            return True
    return False


def single_bytes(of: bytes) -> Iterator[bytes]:
    """Yield the bytes one by one."""
    return (bytes([byte]) for byte in of)


def check_all(*checks: Callable[[Served, str], None], served: Served) -> None:
    """Check all listeners concurrently, since most of the time is waiting, and report all failures together."""
    tasks = [(check, name) for check in checks for name in LISTENERS]
    with ThreadPoolExecutor(len(tasks)) as pool:
        running = {f"{check.__name__} at {name}": pool.submit(check, served, name) for check, name in tasks}
    assert {what: repr(done.exception()) for what, done in running.items() if done.exception()} == {}


def send_nothing(short_deadlines: Served, name: str) -> None:
    """Send nothing."""
    with connect(short_deadlines, name) as connection:
        assert is_closed(connection)


def send_headers_slowly(short_deadlines: Served, name: str) -> None:
    """Send endless headers slowly: no byte extends the deadline."""
    endless = itertools.chain(
        single_bytes(head(LISTENERS[name], "GET", LISTENERS[name].path)[:-2]), single_bytes(b"X: y\r\n" * 10_000)
    )
    with connect(short_deadlines, name) as connection:
        assert is_closed(connection, endless)


def send_body_slowly(short_deadlines: Served, name: str) -> None:
    """Send an endless body slowly, to a path that reads it."""
    with connect(short_deadlines, name) as connection:
        connection.sendall(post_head(LISTENERS[name], 1_000_000))
        assert is_closed(connection, itertools.repeat(b" ", 1_000_000))


def send_unread_body_slowly(short_deadlines: Served, name: str) -> None:
    """Send an endless body slowly, after a GET."""
    with connect(short_deadlines, name) as connection:
        connection.sendall(head(LISTENERS[name], "GET", LISTENERS[name].path, "Content-Length: 1000000"))
        assert is_closed(connection, itertools.repeat(b" ", 1_000_000))


def send_half_a_body(short_deadlines: Served, name: str) -> None:
    """Send half a body, and then nothing."""
    listener = LISTENERS[name]
    with connect(short_deadlines, name) as connection:
        connection.sendall(post_head(listener, 2 * len(listener.body)) + listener.body)
        assert is_closed(connection)


def send_chunks_slowly(short_deadlines: Served, name: str) -> None:
    """Send an endless body in chunks."""
    listener = LISTENERS[name]
    lines = (f"Content-Type: {listener.kind}", "Transfer-Encoding: chunked", "Origin: http://localhost")
    with connect(short_deadlines, name) as connection:
        connection.sendall(head(listener, "POST", listener.posts_to, *lines))
        assert is_closed(connection, itertools.repeat(b"1\r\n \r\n", 100_000))


def stay_idle_after_answer(short_deadlines: Served, name: str, dribble: bytes = b"") -> None:
    """Keep the connection open after an answer, and send nothing."""
    with answered_connection(short_deadlines, name) as connection:
        assert is_closed(connection, single_bytes(dribble))


def stop_in_next_request(short_deadlines: Served, name: str) -> None:
    """Keep the connection open after an answer, and send the beginning of another request."""
    stay_idle_after_answer(short_deadlines, name, b"GET /")


def test_endless_requests_are_closed(short_deadlines: Served) -> None:
    """Silent, stopped and slow headers, bodies and chunks, before and after an answer, are closed at every listener."""
    check_all(
        send_nothing, send_headers_slowly, send_body_slowly, send_unread_body_slowly, send_half_a_body, send_chunks_slowly,
        stay_idle_after_answer, stop_in_next_request, served=short_deadlines,
    )  # fmt: skip


def answered_connection(served: Served, name: str) -> socket.socket:
    """Return a connection with one answered request; retry if the deadline was too short for this machine."""
    until = time.monotonic() + WIDE_SECONDS
    while time.monotonic() < until:
        connection = connect(served, name)
        with contextlib.suppress(OSError):
            connection.sendall(head(LISTENERS[name], "GET", LISTENERS[name].path))
            if connection.recv(12).startswith(b"HTTP/1.1 200"):
                return connection
        connection.close()
    raise AssertionError("no request was answered 200")


def send_without_reading(short_deadlines: Served, name: str) -> None:
    """Send requests without end and read nothing; a few large answers fill the buffers in between."""
    request = head(LISTENERS[name], "GET", LISTENERS[name].much) * 10
    with socket.socket() as connection:
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            connection.setsockopt(socket.SOL_SOCKET, buffer, 4096)
        connection.settimeout(WIDE_SECONDS)
        connection.connect(("127.0.0.1", short_deadlines.ports[name]))
        until, rest = time.monotonic() + WIDE_SECONDS, request
        connection.settimeout(PAUSE_SECONDS)
        while time.monotonic() < until:
            try:
                rest = rest[connection.send(rest) :] or request
            except TimeoutError:
                continue
            except OSError:  # closed: it has not read our data, so its system resets the connection
                return
    raise AssertionError("still open")


def test_clients_that_do_not_read_are_closed(short_deadlines: Served) -> None:
    """A client that does not read its answers is closed: it can neither send nor hold the connection indefinitely."""
    check_all(send_without_reading, served=short_deadlines)


def check_slow_client(default_deadlines: Served, name: str) -> None:
    """Send requests in many parts with pauses, several per connection, and check each answer."""
    listener = LISTENERS[name]
    with connect(default_deadlines, name) as connection:
        for _ in range(2):
            whole = head(listener, "GET", listener.path)
            for part in (whole[:10], whole[10:11], whole[11:-1], whole[-1:]):
                connection.sendall(part)
                time.sleep(PAUSE_SECONDS)
            assert b"HTTP/1.1 200" in answer(connection)
        if listener.posts_to != listener.path:
            connection.sendall(post_head(listener, len(listener.body)))
            for byte in single_bytes(listener.body):
                connection.sendall(byte)
                time.sleep(PAUSE_SECONDS / 10)
            assert answer(connection).split(b" ")[1] in (b"303", b"400", b"401", b"403", b"422")


def test_slow_clients_are_served(default_deadlines: Served) -> None:
    """Requests in many parts with pauses, several per connection, are answered."""
    check_all(check_slow_client, served=default_deadlines)


def answer(connection: socket.socket) -> bytes:
    """Read a complete answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection, received)
    headers, _, body = received.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in headers.split(b"\r\n")[1:])
    length = lines.get(b"content-length")
    while (len(body) < int(length)) if length else not body.endswith(b"0\r\n\r\n"):
        body += receive(connection, body)
    return headers + b"\r\n\r\n" + body


def listening_ports(pid: int) -> set[int]:
    """Return the ports at which a process listens."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    ports = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="needs Linux's /proc")
def test_every_listener_stands_in_the_table(default_deadlines: Served) -> None:
    """Each port at which a process of ours listens is a row of LISTENERS, or gRPC's."""
    known = {port: name for name, port in default_deadlines.ports.items() if name in LISTENERS or name in NOT_HTTP}
    found = {port for pid in default_deadlines.pids() for port in listening_ports(pid)}
    assert found - known.keys() == set()
    assert {known[port] for port in found} == {*LISTENERS, *NOT_HTTP}
