"""Vouch: the command line `vouch COMMAND`, and the API for notebooks and scripts.

    from vouch import Model, generate, history

The API is loaded when it is first used, so that the command line starts without it.
"""

import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ml_server.estimator.model import Model
    from python_api import history
    from python_api.generate import generate

__all__ = ["Model", "generate", "history", "main"]
_API: Final = {
    "Model": ("ml_server.estimator.model", "Model"),
    "generate": ("python_api.generate", "generate"),
    "history": ("python_api.history", None),
}

GROUPS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "Run": {
        "demo": ("stack.demo", "start everything, send labelled orders, show the decisions"),
        "up": ("stack.up", "start all services in this terminal"),
        "serve": ("stack.serve", "serve everything in one process, without the edge"),
        "status": ("stack.status", "show what runs where, in which version, and whether it is healthy"),
        "config": ("stack.config", "show the effective settings and where each comes from"),
        "keys": ("runtime.keys_command", "create, list and remove API keys"),
        "completion": ("stack.completion", "print a completion script for your shell"),
    },
    "Data": {
        "generate": ("data_gen.commands.generate", "write a labelled synthetic dataset"),
        "validate": ("data_gen.commands.validate", "validate a file of orders"),
        "mapping": ("ml_server.commands.mapping", "suggest a mapping for your own file"),
        "history": ("stack.history", "compute, import or export history"),
    },
    "Models": {
        "train": ("ml_server.commands.train", "train a model from a dataset"),
        "evaluate": ("ml_server.commands.evaluate", "measure a model on a labelled dataset"),
        "models": ("ml_server.commands.models", "list, compare and promote models"),
        "score": ("ml_server.commands.score", "score every order of a file"),
    },
    "Decisions": {
        "policy": ("agent_server.commands.policy", "check, show or backtest a policy"),
        "cases": ("agent_server.commands.cases", "review cases in a terminal"),
        "reviewers": ("agent_server.commands.reviewers", "report the accuracy of reviewers"),
        "outcomes": ("stack.outcomes", "report outcomes of orders from a file"),
        "labels": ("agent_server.commands.labels", "export labels as a training dataset"),
    },
    "Ledger and persons": {
        "audit": ("agent_server.commands.audit", "verify or export the ledger, create its signing key"),
        "ledger": ("agent_server.commands.ledger", "back up, check and restore the ledger"),
        "privacy": ("agent_server.commands.privacy", "find, export, erase or expire personal data"),
    },
    "Tests of a deployment": {
        "load": ("load_test.cli", "send labelled orders to an agent (test_api.py)"),
        "review-zone": ("load_test.review_zone", "show orders between the thresholds (test_review_transactions.py)"),
        "conformance": ("conformance.command", "check that all transports of a deployment agree"),
    },
}
"""Module and summary of each command, in groups."""
COMMANDS: Final = {name: command for group in GROUPS.values() for name, command in group.items()}
EXTRAS: Final[Mapping[str, str]] = {
    "config": "server", "keys": "server",
    "generate": "train", "validate": "train", "mapping": "train", "history": "agent,train",
    "train": "train", "evaluate": "train", "models": "scorer", "score": "train",
    "policy": "agent", "cases": "agent", "reviewers": "agent", "outcomes": "agent,train", "labels": "agent,tables",
    "audit": "agent", "ledger": "agent", "privacy": "agent",
    "load": "load", "review-zone": "load", "conformance": "load",
}  # fmt: skip
"""Extras of pyproject.toml that commands need; the others need `all`."""


def __getattr__(name: str) -> Any:
    """Return a part of the API, loaded on first use."""
    if name == "__version__":
        return version("vouch")
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _API[name]
    from runtime.extras import needs_extra

    with needs_extra(f"vouch.{name}", "train"):
        loaded = importlib.import_module(module)
    return loaded if attribute is None else getattr(loaded, attribute)


def usage() -> str:
    """Return the list of commands."""
    from runtime.process.command_line import EXIT_CODES

    lines = ["usage: vouch COMMAND [OPTION ...]"]
    for group, commands in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:12} {text}" for name, (_, text) in commands.items())]
    return "\n".join([
        *lines,
        "",
        "vouch COMMAND --help: options and examples of a command. vouch --version: the version.",
        "",
        "Exit codes:",
        *(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items()),
    ])  # fmt: skip


def _print_usage(code: int) -> int:
    """Print the usage; return `code`, or that of a closed pipe, as with `| head`."""
    from runtime.process.command_line import BROKEN_PIPE
    from runtime.process.terminal import flush_output

    try:
        print(usage(), flush=True)
        return code
    except BrokenPipeError:
        flush_output()
        return BROKEN_PIPE


def main() -> int:
    """Run the command line; return the exit code."""
    sys.path.insert(0, str(Path(__file__).parent))  # our packages before others of the same name
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        return _print_usage(0 if arguments else 2)
    if arguments[0] in ("-V", "--version"):
        print(f"vouch {version('vouch')}")
        return 0
    if arguments[0] not in COMMANDS:
        from runtime.words import nearest

        near = nearest(arguments[0], COMMANDS, "`vouch {}`")
        print(f"vouch: {arguments[0]!r} is not a command{near} (`vouch --help` lists all)", file=sys.stderr)
        return 2
    from runtime.extras import MissingExtra, needs_extra

    try:
        with needs_extra(f"vouch {arguments[0]}", EXTRAS.get(arguments[0], "all")):
            module = importlib.import_module(COMMANDS[arguments[0]][0])
            code: int = module.main(arguments[1:])
            return code
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
