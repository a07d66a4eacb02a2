"""Terminals: the meaning of SIGHUP (reload, or the terminal was closed), safe output."""

import os
import sys

if sys.platform != "win32":
    import termios


class Terminal:
    """The terminal that a process was started from, if any."""

    def __init__(self) -> None:
        self._descriptors = [number for number in (0, 1, 2) if _is_open_terminal(number)]

    def is_closed(self) -> bool:
        """Return whether there was a terminal and it was closed, so that Ctrl-C can no longer stop the process."""
        return bool(self._descriptors) and not any(_is_open_terminal(number) for number in self._descriptors)


def _is_open_terminal(descriptor: int) -> bool:
    """Return whether a descriptor is an open terminal."""
    if sys.platform == "win32":
        return False
    try:
        return os.isatty(descriptor) and bool(termios.tcgetattr(descriptor))
    except (OSError, termios.error):
        return False


def flush_output() -> None:
    """Flush standard output and error; drop output that a closed terminal or pipe cannot take.

    Otherwise Python would retry at exit, print an error and return exit code 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def escape_unprintable(text: object) -> str:
    """Escape unprintable characters: untrusted text must not control terminal, clipboard or text direction."""
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in str(text))


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
