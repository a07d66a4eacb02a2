"""Time limit for shutdown: a stop signal ends the process in time even if a thread, the event loop or a read hangs.

A blocked event loop cannot handle signals. So a thread reads the bytes that Python writes for each signal, starts a
timer and passes the bytes on to the loop. The timer is that of faulthandler, which needs neither the loop nor the GIL.
When it expires, the stacks of all threads go to standard error, and the exit code is 1.
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
"""Seconds in addition to the drain time."""
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def start_exit_timer(seconds: float) -> None:
    """Exit the process after `seconds` unless it ends before."""
    # Standard error may not be a file; then nothing can be written.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__ or sys.stderr)


def limit_shutdown_time(drain_seconds: float) -> Callable[[], None]:
    """Limit the time from a stop signal to the end of this process. Called on the main thread, in a running event loop.

    `drain_seconds` is the time an orderly shutdown may take. Return a function that restores signal delivery to the
    loop, to be called before the loop closes; a running timer continues.
    """
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        return lambda: None
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    previous = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    # Duplicated: the loop may close its descriptor, and the number may be reused.
    loop_descriptor = os.dup(previous) if previous >= 0 else previous
    limit = drain_seconds + GRACE_SECONDS
    arguments = (reading, writing, loop_descriptor, limit)
    threading.Thread(target=_relay_signals, args=arguments, name="signals", daemon=True).start()

    def release() -> None:
        current = signal.set_wakeup_fd(previous, warn_on_full_buffer=False)
        if current != writing.fileno():
            signal.set_wakeup_fd(current)  # replaced by other code meanwhile
        writing.close()

    return release


def _relay_signals(reading: socket.socket, writing: socket.socket, loop_descriptor: int, limit: float) -> None:
    """Start the timer at a stop signal, and pass all signals on, until `writing` is closed."""
    with reading, writing:
        while signals := reading.recv(64):
            if any(number in _STOPS for number in signals):
                start_exit_timer(limit)
            if loop_descriptor >= 0:
                with contextlib.suppress(OSError):  # the loop was closed
                    os.write(loop_descriptor, signals)
    if loop_descriptor >= 0:
        os.close(loop_descriptor)
