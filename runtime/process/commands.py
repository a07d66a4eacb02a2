"""Error handling of all commands: one sentence and an exit code; no traceback for an error that the user can fix."""

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from runtime.access import SecurityError
from runtime.extras import MissingExtra
from runtime.process.command_line import BROKEN_PIPE, CANNOT_RUN, INTERRUPTED, NOT_NOW
from runtime.process.files import OutputError
from runtime.process.terminal import escape_unprintable, flush_output
from runtime.settings import SettingsError


class Unavailable(Exception):
    """A service cannot be reached, or cannot answer now; the message says which, and what to do."""


class Command(Protocol):
    """A command that takes arguments and returns an exit code."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command."""


def program_name(vouch: str, script: str) -> str:
    """Return the name a command was started by: `script`, the documented file, or `vouch ...`."""
    return script if Path(sys.argv[0]).name == script else vouch


def example_prefix(program: str) -> str:
    """Return how a program with this name is started in examples: documented files by `python`."""
    return f"python {program}" if program.endswith(".py") else program


def command(name: str, *failures: type[Exception]) -> Callable[[Command], Command]:
    """Decorate a command: print `failures` and OSError as one sentence after the name of the command."""
    user_errors: tuple[type[Exception], ...] = (MissingExtra, OutputError, SecurityError, SettingsError, *failures)

    def wrap(main: Command) -> Command:
        @functools.wraps(main)
        def run(arguments: Sequence[str] | None = None) -> int:
            try:
                code = main(arguments)
                sys.stdout.flush()
                return code
            except BrokenPipeError:  # as with `| head`
                flush_output()
                return BROKEN_PIPE
            except KeyboardInterrupt:
                return INTERRUPTED
            except Unavailable as error:
                text, code = str(error), NOT_NOW
            except user_errors as error:
                text, code = str(error), CANNOT_RUN
            except OSError as error:
                where = f"{error.filename}: " if error.filename is not None else ""
                text, code = f"{where}{error.strerror or type(error).__name__}", CANNOT_RUN
            with contextlib.suppress(OSError):  # the terminal may be closed
                print(f"{name}: {escape_unprintable(text)}", file=sys.stderr)
            flush_output()
            return code

        return run

    return wrap
