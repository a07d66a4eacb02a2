"""Command lines: a parser whose help has examples and exit codes, and whose errors are one line with the nearest match."""

import argparse
import copy
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NoReturn

from runtime.words import nearest

OK, NEGATIVE, CANNOT_RUN, NOT_NOW, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 130, 141
EXIT_CODES: Final[Mapping[int, str]] = {
    OK: "success",
    NEGATIVE: "the result is negative: a check failed, something was refused, or nothing was found",
    CANNOT_RUN: "the command could not run: an option, a file or a setting is wrong",
    NOT_NOW: "not now: a service is unavailable, or work is not finished; run the command again later",
    INTERRUPTED: "stopped by Ctrl-C",
    BROKEN_PIPE: "the reader of its output ended, as with `| head`",
}
"""What the exit codes of all commands mean. Where a command has a narrower meaning, its help says so."""


class CommandParser(argparse.ArgumentParser):
    """Parser of a command. Options are accepted before and after the name of an action, and are never abbreviated.

    `examples` are complete command lines. `codes` says what an exit code means for this command. `shared` are options of the
    command that an action accepts too.
    """

    def __init__(
        self,
        *,
        examples: Sequence[str] = (),
        codes: Mapping[int, str] | None = None,
        shared: Iterable[argparse.Action] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options, allow_abbrev=False)
        self.examples, self.codes = tuple(examples), dict(codes or {})
        self.register("action", "parsers", _Actions)
        for action in shared:
            action = copy.copy(action)
            action.default = argparse.SUPPRESS  # what was given before the action stays
            self._add_action(action)

    def add_subparsers(self, **options: Any) -> Any:
        """Add actions. They accept the options that the command has so far."""
        shared = [action for action in self._actions if action.option_strings and action.dest != "help"]
        return super().add_subparsers(**{"parser_class": partial(CommandParser, shared=shared)} | options)

    def add_json_option(self) -> None:
        """Add `--json`, which prints the result for programs."""
        self.add_argument("--json", action="store_true", help="print JSON")

    def actions(self) -> Mapping[str, "CommandParser"]:
        """Return the parsers of the actions by name."""
        found = (action.choices for action in self._actions if isinstance(action, _Actions))
        return next(found, {})

    def tree(self) -> Iterator["CommandParser"]:
        """Yield this parser and those of all actions below it."""
        yield self
        for below in self.actions().values():
            yield from below.tree()

    def format_help(self) -> str:
        """Return the help, with examples and the exit codes that have a meaning of their own."""
        text = super().format_help()
        if self.examples:
            text += "\nexamples:\n" + "".join(f"  {one}\n" for one in self.examples)
        if self.codes:
            text += "\nexit codes:\n" + "".join(f"  {code}  {meaning}\n" for code, meaning in self.exit_codes())
        return text

    def exit_codes(self) -> Iterator[tuple[int, str]]:
        """Yield the exit codes up to 2 and those with a meaning of their own."""
        yield from sorted(({code: EXIT_CODES[code] for code in (OK, CANNOT_RUN)} | self.codes).items())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, after a check of the options' names: a misspelt one explains a missing one better than argparse does."""
        arguments = sys.argv[1:] if args is None else list(args)
        self._check_names(arguments)
        return super().parse_known_args(arguments, namespace)

    def _check_names(self, arguments: Sequence[str]) -> None:
        known = {name for parser in self.tree() for name in parser._option_string_actions}
        for argument in arguments:
            if argument == "--":
                return
            name = argument.partition("=")[0]
            if argument.startswith("--") and " " not in argument and name not in known:
                chosen = self._choose(arguments)
                chosen.error(f"unrecognized arguments: {argument}{nearest(name, chosen._option_string_actions)}")

    def _choose(self, arguments: Sequence[str]) -> "CommandParser":
        """Return the parser of the action that the arguments name."""
        named = (self.actions()[argument] for argument in arguments if argument in self.actions())
        chosen = next(named, None)
        return chosen._choose(arguments) if chosen else self

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            close = nearest(str(value), map(str, action.choices or ()))
            raise argparse.ArgumentError(action, f"{error.message}{close}") from None

    def error(self, message: str) -> NoReturn:
        """Print one line, and exit with 2."""
        self.exit(CANNOT_RUN, f"{self.prog}: {message} (`{self.prog} --help`)\n")


class _Actions(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The actions of a command; each has its summary as description."""

    def add_parser(self, name: str, **options: Any) -> Any:
        """Return the parser of a new action."""
        summary = str(options.get("help", ""))
        options.setdefault("description", f"{summary[:1].upper()}{summary[1:]}.")
        return super().add_parser(name, **options)
