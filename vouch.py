"""The command line `vouch COMMAND`: maps each command to the module that implements it."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "generate": ("data_gen.commands.generate", "write a labelled synthetic dataset"),
    "validate": ("data_gen.commands.validate", "validate a file of orders"),
    "train": ("ml_server.commands.train", "train a model from a dataset"),
    "evaluate": ("ml_server.commands.evaluate", "measure a model on a labelled dataset"),
    "models": ("ml_server.commands.models", "list, compare and promote models"),
    "mapping": ("ml_server.commands.mapping", "suggest a mapping for your own file"),
    "score": ("ml_server.commands.score", "score every order of a file"),
    "audit": ("agent_server.commands.audit", "verify or export the ledger, create its signing key"),
    "ledger": ("agent_server.commands.ledger", "back up, check and restore the ledger"),
    "privacy": ("agent_server.commands.privacy", "find, export, erase or expire personal data"),
    "policy": ("agent_server.commands.policy", "check, show or backtest a policy"),
    "cases": ("agent_server.commands.cases", "review cases in a terminal"),
    "reviewers": ("agent_server.commands.reviewers", "report the accuracy of reviewers"),
    "history": ("stack.history", "compute, import or export history"),
    "outcomes": ("agent_server.commands.outcomes", "report outcomes of orders from a file"),
    "labels": ("agent_server.commands.labels", "export labels as a training dataset"),
    "keys": ("runtime.keys_command", "create, list and remove API keys"),
    "up": ("stack.up", "start all services in this terminal"),
    "serve": ("stack.serve", "serve everything in one process, without the edge"),
    "conformance": ("conformance.command", "check that all transports of a deployment agree"),
    "demo": ("stack.demo", "start everything, send labelled orders, show the decisions"),
    "load": ("load_test.cli", "send labelled orders to an agent (test_api.py)"),
    "review-zone": ("load_test.review_zone", "show orders between the thresholds (test_review_transactions.py)"),
}


def usage() -> str:
    """Return the list of commands."""
    lines = [f"  {name:12} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: vouch COMMAND [OPTION ...]",
            "",
            *lines,
            "",
            "vouch COMMAND --help: options of a command. vouch --version: the version.",
        ]
    )


def main() -> int:
    """Run the command line; return the exit code."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"vouch {version('vouch')}")
        return 0
    if arguments[0] not in COMMANDS:
        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"did you mean `vouch {near[0]}`? " if near else ""
        print(f"vouch: {arguments[0]!r} is not a command; {hint}`vouch --help` lists all", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[arguments[0]][0])
    code: int = module.main(arguments[1:])
    return code


if __name__ == "__main__":
    raise SystemExit(main())
