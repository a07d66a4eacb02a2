"""Options of both load tests: the agent's address and the dataset."""

import argparse
from pathlib import Path
from typing import Final

from load_test.orders import DEFAULT_DATASET
from runtime.process.command_line import CommandParser
from runtime.process.port_base import add_port_base_option
from runtime.settings import PORT_OFFSETS, read_port_base

SCORER_PORT: Final = "VOUCH_STACK_BRIDGE_ML_PORT"
AGENT_PORT: Final = "VOUCH_STACK_BRIDGE_AGENT_PORT"
_DOCUMENTED_BASE: Final = 8000


def add_api_url_option(parser: CommandParser) -> None:
    """Add `--api-url` and `--port-base`."""
    parser.add_argument("--api-url", help=f"agent service (default: http://localhost:{_DOCUMENTED_BASE + 1})")
    add_port_base_option(parser)


def add_dataset_option(parser: CommandParser) -> None:
    """Add `--dataset`."""
    parser.add_argument(
        "--dataset", type=Path, default=DEFAULT_DATASET, help=f"labelled CSV or Parquet (default: {DEFAULT_DATASET})"
    )


def local_url(service: str) -> str:
    """Return the address of a REST service on this machine. Raises SettingsError for an invalid port base."""
    base = read_port_base()
    return f"http://localhost:{(_DOCUMENTED_BASE if base is None else base) + PORT_OFFSETS[service]}"


def api_url_of(options: argparse.Namespace) -> tuple[str, bool]:
    """Return the agent's address, and whether it is the default one, next to which the scorer is."""
    default = local_url(AGENT_PORT)
    url = (options.api_url or default).rstrip("/")
    return url, url == default
