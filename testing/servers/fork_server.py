"""`python -m testing.servers.fork_server SOCKET`: a process that has imported the libraries, and forks on request.

Importing takes 0.5 to 0.7 s of CPU per service; a fork takes some milliseconds. A request is one JSON message with the
three standard files attached. The answer is the process id and, when the process has ended, its exit status and its CPU
seconds.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_gen.output.generator import default_network
from data_gen.stream.generator import default_stream_network

PRELOADED: Final = (
    "agent_server.running", "console.application", "data_gen.commands.generate", "http_bridge.application", "rich.live",
    "ml_server.commands.train", "ml_server.serving.running", "vouch",
    "alembic.command", "fastapi_offline", "grpc.aio", "grpc_health.v1.health", "grpc_reflection.v1alpha.reflection", "httpx",
    "jinja2", "lightgbm", "protovalidate", "psycopg", "pyarrow.parquet", "rich.progress", "sklearn.isotonic", "sklearn.metrics",
    "sqlalchemy.dialects.postgresql.psycopg", "uvicorn.loops.uvloop", "uvicorn.main", "uvicorn.protocols.http.httptools_impl",
)  # fmt: skip
"""Modules that services and commands import. Modules that read settings at import time do not belong here."""
LARGEST_REQUEST: Final = 1 << 20


@dataclass(frozen=True)
class Request:
    """A Python program to run: a module or a script, with its arguments, environment, folder and files."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    own_group: bool
    files: tuple[int, ...]


def receive(connection: socket.socket) -> Request | None:
    """Read one request; return None if the caller has disconnected."""
    content, files, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 3)
    if not content:
        return None
    read: dict[str, Any] = json.loads(content)
    return Request(**read, files=tuple(files))


def serve(path: str) -> Request:
    """Fork a process per request. Return the request in the forked process; never return in this one."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(64)
    wake, woken = socket.socketpair()
    for end in (wake, woken):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    callers: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(wake, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                os._exit(0)  # the process that started this one has ended
            if key.fileobj is wake:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
                _report_ended(callers)
                continue
            connection, _ = listener.accept()
            request = receive(connection)
            if request is None:
                connection.close()
                continue
            pid = os.fork()
            if pid == 0:
                for opened in (listener, wake, woken, connection, *callers.values()):
                    opened.close()
                selector.close()
                return request
            for file in request.files:
                os.close(file)
            callers[pid] = connection
            with contextlib.suppress(OSError):
                connection.send(str(pid).encode())


def _report_ended(callers: dict[int, socket.socket]) -> None:
    """Send the exit status and CPU seconds of each ended process to its caller."""
    while callers:
        pid, status, used = os.wait4(-1, os.WNOHANG)
        if not pid:
            return
        connection = callers.pop(pid)
        with contextlib.suppress(OSError):
            connection.send(f"{os.waitstatus_to_exitcode(status)} {used.ru_utime + used.ru_stime:.3f}".encode())
        connection.close()


def set_up_process(request: Request) -> None:
    """Set up this process as a new process of the program would be."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(request.files):
        os.dup2(file, number)
        os.close(file)
    if request.own_group:
        os.setsid()
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()


def run(arguments: list[str]) -> None:
    """Run a module (`-m name ...`), or a script, as the interpreter's command line does."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path[0] = str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def leave(code: int) -> None:
    """Exit as the interpreter does, but without teardown of shared objects, which would copy their memory."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    default_network(), default_stream_network()  # referenced, so that no forked process creates them again
    gc.collect()
    gc.freeze()  # so that collections in a forked process do not copy shared memory
    found = serve(sys.argv[1])
    set_up_process(found)
    try:
        run(found.arguments)
    except SystemExit as ended:
        if not (ended.code is None or isinstance(ended.code, int)):
            raise
        leave(ended.code or 0)
    leave(0)
