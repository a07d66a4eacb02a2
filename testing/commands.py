"""Run a command of ours in this process."""

import importlib
import re
from collections.abc import Callable, Iterator

import pytest

import vouch
from runtime.process.command_line import CommandParser


def error_of_command(capsys: pytest.CaptureFixture[str], command: str, *arguments: str) -> str:
    """Run a command that must fail with exit code 2 and one line of error; return that line."""
    module, _ = vouch.COMMANDS[command]
    main: Callable[[list[str]], int] = __import__(module, fromlist=["main"]).main
    code = main(list(arguments))
    error = capsys.readouterr().err
    assert code == 2, (arguments, error)
    lines = [line for line in error.splitlines() if not line.startswith(("scored", "generated"))]
    assert len(lines) == 1, error
    assert lines[0].isprintable()
    return lines[0]


def parsers() -> Iterator[CommandParser]:
    """Yield the parsers of all commands and of their actions."""
    for module, _ in vouch.COMMANDS.values():
        yield from importlib.import_module(module).parser().tree()


def colours_in(output: str) -> list[str]:
    """Return the escape sequences that set colours or styles."""
    return re.findall(r"\x1b\[[0-9;]*m", output)
