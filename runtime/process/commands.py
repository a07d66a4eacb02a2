"""What every command does with what goes wrong: one sentence and exit code 2, never a traceback for what a user can mend."""

import contextlib
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from runtime.access import SecurityError
from runtime.process.files import OutputError
from runtime.process.terminal import finish_output, plain
from runtime.settings import SettingsError

CANNOT_RUN, INTERRUPTED, READER_GONE = 2, 130, 141


class Command(Protocol):
    """A command: told its arguments, gives its exit code."""

    def __call__(self, arguments: Sequence[str] | None = None) -> int:
        """Run."""


def program(vouch: str, script: str) -> str:
    """Return the name by which a command was started: `script`, the documented file, or `vouch ...`."""
    return script if Path(sys.argv[0]).name == script else vouch


def command(name: str, *failures: type[Exception]) -> Callable[[Command], Command]:
    """Make `failures`, and what the machine refuses, a sentence behind the command's name."""
    mendable: tuple[type[Exception], ...] = (OutputError, SecurityError, SettingsError, *failures)

    def wrap(main: Command) -> Command:
        @functools.wraps(main)
        def run(arguments: Sequence[str] | None = None) -> int:
            try:
                code = main(arguments)
                sys.stdout.flush()
                return code
            except BrokenPipeError:  # `| head` has read enough
                finish_output()
                return READER_GONE
            except KeyboardInterrupt:
                return INTERRUPTED
            except mendable as error:
                text = str(error)
            except OSError as error:
                where = f"{error.filename}: " if error.filename is not None else ""
                text = f"{where}{error.strerror or type(error).__name__}"
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(f"{name}: {plain(text)}", file=sys.stderr)
            finish_output()
            return CANNOT_RUN

        return run

    return wrap
