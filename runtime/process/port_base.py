"""`--port-base`: the ports of all services move together."""

import argparse
import os

from runtime.process.command_line import CommandParser
from runtime.settings import MAX_PORT_BASE, PORT_BASE


def add_port_base_option(parser: CommandParser) -> None:
    """Add `--port-base` to a command."""
    parser.add_argument(
        "--port-base",
        type=_parse_port,
        metavar="N",
        help="ports of all services from N on: scorer N, agent N+1, console N+2, edge N+80 "
        f"(default: {PORT_BASE}, or the documented ports)",
    )


def use_port_base(base: int | None) -> None:
    """Set the port base for all settings of this process and of those that it starts."""
    if base is not None:
        os.environ[PORT_BASE] = str(base)


def _parse_port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= MAX_PORT_BASE):
        raise argparse.ArgumentTypeError(f"must be a port from 1 to {MAX_PORT_BASE}, not {text!r}")
    return int(text)
