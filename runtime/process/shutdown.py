"""A stop signal ends the process within a limit, whatever hangs: a thread, the event loop, a read that never returns.

An event loop that is blocked hears no signal. So the bytes that Python writes for each signal are read by a thread first, which
starts the countdown and passes them on to the loop. The countdown is faulthandler's, which needs neither the loop nor Python's
lock; when it ends, the place of every thread is written to standard error, and the exit code is 1.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

GRACE_SECONDS: Final = 10.0
"""Beyond what draining may take."""
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def end_within(seconds: float) -> None:
    """From now on the process has `seconds` to end."""
    with contextlib.suppress(
        OSError, ValueError, AttributeError
    ):  # standard error is no file: nothing could be written
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)


def limit_stopping(drain_seconds: float) -> Callable[[], None]:
    """Limit the time from a stop signal to the end of this process. Called on the main thread, in a running event loop.

    `drain_seconds` is what an orderly end may take. Returns a function that gives signals back to the loop, for its end; a
    countdown that has begun goes on.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return lambda: None
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    loops = os.dup(before) if before >= 0 else before  # the loop may close its own, and the number be somebody else's
    limit = drain_seconds + GRACE_SECONDS
    threading.Thread(target=_relay, args=(reading, writing, loops, limit), name="signals", daemon=True).start()

    def release() -> None:
        current = signal.set_wakeup_fd(before, warn_on_full_buffer=False)
        if current != writing.fileno():
            signal.set_wakeup_fd(current)  # somebody else's by now
        writing.close()

    return release


def _relay(reading: socket.socket, writing: socket.socket, loops: int, limit: float) -> None:
    """Start the countdown at a stop signal, and pass all signals on, until `writing` is closed; nobody else need hold it."""
    with reading, writing:
        while signals := reading.recv(64):
            if any(number in _STOPS for number in signals):
                end_within(limit)
            if loops >= 0:
                with contextlib.suppress(OSError):  # the loop was closed
                    os.write(loops, signals)
    if loops >= 0:
        os.close(loops)
