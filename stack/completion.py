"""`vouch completion`: print a completion script for a shell, made from the parsers of all commands by shtab."""

import argparse
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import shtab

import vouch
from runtime.process.command_line import OK, CommandParser
from runtime.process.commands import command

_INSTALL: Final[Mapping[str, str]] = {
    "bash": "vouch completion bash > ~/.local/share/bash-completion/completions/vouch",
    "zsh": "vouch completion zsh > ~/.zfunc/_vouch",
    "fish": "vouch completion fish > ~/.config/fish/completions/vouch.fish",
    "tcsh": "vouch completion tcsh > ~/.vouch.completion.csh",
}
"""Shells, with a command that installs the script where each shell looks for it."""


def parser() -> CommandParser:
    """Return the parser of `vouch completion`."""
    result = CommandParser(
        prog="vouch completion",
        description="Print a script that completes commands, options, values and files.",
        examples=tuple(_INSTALL.values()),
    )
    result.add_argument(
        "shell",
        choices=tuple(_INSTALL),
        help="your shell; zsh needs ~/.zfunc in $fpath, tcsh sources the file in ~/.tcshrc",
    )
    return result


def whole_parser() -> CommandParser:
    """Return one parser of all commands. Commands whose libraries are not installed have no options."""
    root = CommandParser(prog="vouch", description="Decide whether online orders are abuse.")
    root.add_argument("--version", action="store_true", help="print the version")
    commands = root.add_subparsers(dest="command")
    for name, (module, summary) in vouch.COMMANDS.items():
        commands.add_parser(name, help=summary)
        try:
            commands.choices[name] = importlib.import_module(module).parser()
        except ModuleNotFoundError:
            continue
    for action in _all_actions(root):
        if action.type is Path:
            action.complete = shtab.DIRECTORY if action.dest.endswith("_dir") else shtab.FILE  # type: ignore[attr-defined]
    return root


def _all_actions(parser: CommandParser) -> Iterator[argparse.Action]:
    for one in parser.tree():
        yield from one._actions


@command("vouch completion")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    print(shtab.complete(whole_parser(), options.shell))
    return OK
