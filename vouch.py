"""The command line: `vouch COMMAND`. Each command is a package's own; this file only knows where it lives."""

import difflib
import importlib
import sys
from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "generate": ("data_gen.commands.generate", "write a labelled synthetic dataset"),
    "validate": ("data_gen.commands.validate", "check any file of orders"),
    "train": ("ml_server.commands.train", "train a model from a dataset"),
    "evaluate": ("ml_server.commands.evaluate", "measure a model on a labelled dataset"),
    "models": ("ml_server.commands.models", "list, compare and promote models"),
    "mapping": ("ml_server.commands.mapping", "guess a mapping for a file of your own"),
    "score": ("ml_server.commands.score", "score every order of a file"),
    "audit": ("agent_server.commands.audit", "verify or export the ledger, make a key that signs it"),
    "ledger": ("agent_server.commands.ledger", "back up, check and restore the ledger"),
    "privacy": ("agent_server.commands.privacy", "find, export, erase or expire what is kept of persons"),
    "policy": ("agent_server.commands.policy", "check a policy, show it, test what it would have done"),
    "cases": ("agent_server.commands.cases", "work off the queue of cases in a terminal"),
    "reviewers": ("agent_server.commands.reviewers", "how well people judge"),
    "history": ("stack.history", "the past of orders for a table, or for the agent's memory"),
    "outcomes": ("agent_server.commands.outcomes", "report what became of orders, from a file"),
    "labels": ("agent_server.commands.labels", "export what is known of orders as a dataset to train on"),
    "keys": ("runtime.keys_command", "make, list and remove API keys"),
    "up": ("stack.up", "start every service in this terminal"),
    "serve": ("stack.serve", "serve everything in one process, without the edge"),
    "conformance": ("conformance.command", "whether a deployment says the same at every door"),
    "demo": ("stack.demo", "start everything, stream labelled orders, show what was decided"),
    "load": ("load_test.cli", "send a stream of labelled orders (test_api.py)"),
    "review-zone": ("load_test.review_zone", "show orders between the thresholds (test_review_transactions.py)"),
}


def usage() -> str:
    """What commands there are."""
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
