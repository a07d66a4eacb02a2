"""Connections of every HTTP listener: what does not send a request in time is closed, and who is slow within it is served."""

import contextlib
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.asking import receive
from tests.listeners.conftest import LISTENERS, NOT_HTTP, Listener, Served

pytestmark = pytest.mark.envoy
WIDE_SECONDS = 60.0
"""For the closing that is waited for: far more than the short deadlines, less than any default of a library."""
PAUSE_SECONDS = 0.05


def head(listener: Listener, method: str, path: str, *lines: str) -> bytes:
    """A request's headers."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def post_head(listener: Listener, length: int) -> bytes:
    """The headers of a POST with a body of so many bytes."""
    lines = (f"Content-Type: {listener.kind}", f"Content-Length: {length}", "Origin: http://localhost")
    return head(listener, "POST", listener.posts_to, *lines)


def connect(served: Served, name: str) -> socket.socket:
    """A connection to a listener."""
    return socket.create_connection(("127.0.0.1", served.ports[name]), timeout=WIDE_SECONDS)


def is_closed(connection: socket.socket, dribble: Iterable[bytes] = ()) -> bool:
    """Whether the other side closes, while we send a byte now and then; what it says before is read."""
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


def every_byte(of: bytes) -> Iterator[bytes]:
    """A byte at a time."""
    return (bytes([byte]) for byte in of)


def at_all(*checks: Callable[[Served, str], None], served: Served) -> None:
    """Make checks of all listeners at the same time: most of each is waiting. Whatever fails is told together."""
    tasks = [(check, name) for check in checks for name in LISTENERS]
    with ThreadPoolExecutor(len(tasks)) as pool:
        running = {f"{check.__name__} at {name}": pool.submit(check, served, name) for check, name in tasks}
    assert {what: repr(done.exception()) for what, done in running.items() if done.exception()} == {}


def silence(short: Served, name: str) -> None:
    """A connection that says nothing."""
    with connect(short, name) as connection:
        assert is_closed(connection)


def dribbling_headers(short: Served, name: str) -> None:
    """A byte now and then, without end: no byte moves the deadline."""
    endless = itertools.chain(
        every_byte(head(LISTENERS[name], "GET", LISTENERS[name].path)[:-2]), every_byte(b"X: y\r\n" * 10_000)
    )
    with connect(short, name) as connection:
        assert is_closed(connection, endless)


def a_dribbling_body(short: Served, name: str) -> None:
    """A body without end to a path that takes it."""
    with connect(short, name) as connection:
        connection.sendall(post_head(LISTENERS[name], 1_000_000))
        assert is_closed(connection, itertools.repeat(b" ", 1_000_000))


def a_dribbling_body_that_nobody_reads(short: Served, name: str) -> None:
    """A body without end behind a GET."""
    with connect(short, name) as connection:
        connection.sendall(head(LISTENERS[name], "GET", LISTENERS[name].path, "Content-Length: 1000000"))
        assert is_closed(connection, itertools.repeat(b" ", 1_000_000))


def a_body_that_stops(short: Served, name: str) -> None:
    """Half a body, and then nothing."""
    listener = LISTENERS[name]
    with connect(short, name) as connection:
        connection.sendall(post_head(listener, 2 * len(listener.body)) + listener.body)
        assert is_closed(connection)


def dribbling_chunks(short: Served, name: str) -> None:
    """A body without end in chunks."""
    listener = LISTENERS[name]
    lines = (f"Content-Type: {listener.kind}", "Transfer-Encoding: chunked", "Origin: http://localhost")
    with connect(short, name) as connection:
        connection.sendall(head(listener, "POST", listener.posts_to, *lines))
        assert is_closed(connection, itertools.repeat(b"1\r\n \r\n", 100_000))


def rest_after_an_answer(short: Served, name: str, dribble: bytes = b"") -> None:
    """Kept alive after an answer, and then nothing."""
    with answered(short, name) as connection:
        assert is_closed(connection, every_byte(dribble))


def rest_in_the_next_request(short: Served, name: str) -> None:
    """Kept alive after an answer, and then the beginning of another request."""
    rest_after_an_answer(short, name, b"GET /")


def test_what_comes_to_no_end_is_closed(short: Served) -> None:
    """Silence, and headers, bodies and chunks that stop or dribble, before an answer and behind one, at every listener."""
    at_all(
        silence, dribbling_headers, a_dribbling_body, a_dribbling_body_that_nobody_reads, a_body_that_stops, dribbling_chunks,
        rest_after_an_answer, rest_in_the_next_request, served=short,
    )  # fmt: skip


def answered(served: Served, name: str) -> socket.socket:
    """A connection on which a request was answered; asked again where a deadline was shorter than this machine is quick."""
    until = time.monotonic() + WIDE_SECONDS
    while time.monotonic() < until:
        connection = connect(served, name)
        with contextlib.suppress(OSError):
            connection.sendall(head(LISTENERS[name], "GET", LISTENERS[name].path))
            if connection.recv(12).startswith(b"HTTP/1.1 200"):
                return connection
        connection.close()
    raise AssertionError("no request was answered 200")


def taking_no_answer(short: Served, name: str) -> None:
    """Send requests without end and read nothing; large answers fill what lies between us after few of them."""
    request = head(LISTENERS[name], "GET", LISTENERS[name].much) * 10
    with socket.socket() as connection:
        for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            connection.setsockopt(socket.SOL_SOCKET, buffer, 4096)
        connection.settimeout(WIDE_SECONDS)
        connection.connect(("127.0.0.1", short.ports[name]))
        until, rest = time.monotonic() + WIDE_SECONDS, request
        connection.settimeout(PAUSE_SECONDS)
        while time.monotonic() < until:
            try:
                rest = rest[connection.send(rest) :] or request
            except TimeoutError:
                continue
            except OSError:  # closed: it has not read what we sent, so its system resets the connection
                return
    raise AssertionError("still open")


def test_who_takes_no_answer_is_closed(short: Served) -> None:
    """Requests without end whose answers are not read: the sender cannot go on for ever, nor hold the connection."""
    at_all(taking_no_answer, served=short)


def slow_client(usual: Served, name: str) -> None:
    """A request in many parts with pauses, one connection kept for several requests: each is answered."""
    listener = LISTENERS[name]
    with connect(usual, name) as connection:
        for _ in range(2):
            whole = head(listener, "GET", listener.path)
            for part in (whole[:10], whole[10:11], whole[11:-1], whole[-1:]):
                connection.sendall(part)
                time.sleep(PAUSE_SECONDS)
            assert b"HTTP/1.1 200" in answer(connection)
        if listener.posts_to != listener.path:
            connection.sendall(post_head(listener, len(listener.body)))
            for byte in every_byte(listener.body):
                connection.sendall(byte)
                time.sleep(PAUSE_SECONDS / 10)
            assert answer(connection).split(b" ")[1] in (b"303", b"400", b"401", b"403", b"422")


def test_slow_clients_are_served(usual: Served) -> None:
    """A request in many parts with pauses, one connection kept for several requests: each is answered."""
    at_all(slow_client, served=usual)


def answer(connection: socket.socket) -> bytes:
    """A whole answer."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += receive(connection, received)
    headers, _, body = received.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in headers.split(b"\r\n")[1:])
    length = lines.get(b"content-length")
    while (len(body) < int(length)) if length else not body.endswith(b"0\r\n\r\n"):
        body += receive(connection, body)
    return headers + b"\r\n\r\n" + body


def listening(pid: int) -> set[int]:
    """Ports at which a process listens."""
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
def test_every_listener_stands_in_the_table(usual: Served) -> None:
    """Each port at which a process of ours listens is a row of LISTENERS, or gRPC's."""
    known = {port: name for name, port in usual.ports.items() if name in LISTENERS or name in NOT_HTTP}
    found = {port for pid in usual.pids() for port in listening(pid)}
    assert found - known.keys() == set()
    assert {known[port] for port in found} == {*LISTENERS, *NOT_HTTP}
