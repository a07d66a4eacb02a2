"""What SIGHUP means: read again, or the terminal that started us was closed."""

import os
import sys

if sys.platform != "win32":
    import termios


class Terminal:
    """The terminal of a process at its start, if it had one."""

    def __init__(self) -> None:
        self._descriptors = [number for number in (0, 1, 2) if _is_open(number)]

    def closed(self) -> bool:
        """Whether there was a terminal and it is gone: then nobody can stop us by Ctrl-C any more."""
        return bool(self._descriptors) and not any(_is_open(number) for number in self._descriptors)


def _is_open(descriptor: int) -> bool:
    """Whether a descriptor is a terminal that still answers."""
    if sys.platform == "win32":
        return False
    try:
        return os.isatty(descriptor) and bool(termios.tcgetattr(descriptor))
    except (OSError, termios.error):
        return False


def finish_output() -> None:
    """Flush what was written; what a terminal or a reader that is gone cannot take is dropped.

    Python would try again at its end, complain, and make the exit code 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain(text: object) -> str:
    """Text for a terminal: what a stranger wrote must not move the cursor, colour, write to the clipboard or turn the line."""
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in str(text))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
