"""Run a command of ours in this process."""

from collections.abc import Callable

import pytest

import vouch


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
