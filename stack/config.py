"""`vouch config`: the effective settings of all services, and where each value comes from."""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from pydantic import SecretStr

from runtime.process.command_line import CANNOT_RUN, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable
from runtime.settings import PORT_BASE, PORT_OFFSETS, Settings, SettingsError, Shared

HIDDEN: Final = "(set)"
"""Shown instead of a value that must not be shown."""


@dataclass(frozen=True)
class Row:
    """One setting: its service, environment variable, value as text, and source."""

    service: str
    variable: str
    value: str
    source: str
    """`default`, `environment`, or `port base` where VOUCH_PORT_BASE moves an address."""


def settings_classes() -> dict[str, type[Settings]]:
    """Return the settings class of each service and command, by name."""
    from agent_server.commands.client import ClientSettings
    from agent_server.settings import AgentSettings
    from console.settings import ConsoleSettings
    from http_bridge.settings import HttpSettings
    from load_test.keys import LoadSettings
    from ml_server.settings import MlSettings
    from runtime.web.settings import WebSettings
    from stack.settings import EdgeSettings, StackSettings

    return {
        "scorer": MlSettings, "agent": AgentSettings, "bridge": HttpSettings, "console": ConsoleSettings, "edge": EdgeSettings,
        "web": WebSettings, "stack": StackSettings, "commands": ClientSettings, "load": LoadSettings, "shared": Shared,
    }  # fmt: skip


def rows_of(service: str, kind: type[Settings]) -> Iterator[Row]:
    """Yield the settings of a service. Raises SettingsError where a variable is invalid or unknown."""
    settings = kind.read()
    for name, variable in kind.variables().items():
        moved = variable in PORT_OFFSETS and PORT_BASE in os.environ
        source = "environment" if variable in os.environ else "port base" if moved else "default"
        yield Row(service, variable, _text(getattr(settings, name)), source)


def _text(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def parser() -> CommandParser:
    """Return the parser of `vouch config`."""
    result = CommandParser(
        prog="vouch config",
        description="Show the effective settings and where each comes from. Secrets are not shown.",
        examples=("vouch config agent --changed", "vouch config --json"),
        codes={CANNOT_RUN: "a setting is invalid or unknown; the others are still shown"},
    )
    result.add_argument("service", nargs="?", choices=list(settings_classes()), help="one service (default: all)")
    result.add_argument("--changed", action="store_true", help="only settings that the environment sets")
    result.add_json_option()
    return result


@command("vouch config")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    rows, invalid = list[Row](), OK
    for service, kind in settings_classes().items():
        if options.service in (None, service):
            try:
                rows += rows_of(service, kind)
            except SettingsError as error:
                print(escape_unprintable(f"vouch config: {service}: {error}"), file=sys.stderr)
                invalid = CANNOT_RUN
    rows = [row for row in rows if row.source != "default" or not options.changed]
    if options.json:
        print_json([asdict(row) for row in rows])
        return invalid
    width = max((len(row.variable) for row in rows), default=0)
    for row in rows:
        print(escape_unprintable(f"{row.service:9} {row.variable:{width}}  {row.source:11}  {row.value}"))
    return invalid
