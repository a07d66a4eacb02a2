"""`vouch mapping suggest`: suggest a mapping for a file of another format."""

import sys
from collections.abc import Sequence
from pathlib import Path

from contract.tables import TableError
from ml_server.data.datasets import sample
from ml_server.data.suggest import suggest
from ml_server.data.suggestion_yaml import to_yaml
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import atomic_write


def parser() -> CommandParser:
    """Return the parser of `vouch mapping`."""
    examples = ("vouch mapping suggest shop.csv", "vouch mapping suggest shop.csv --output mapping.yaml")
    result = CommandParser(prog="vouch mapping", description="Suggest a mapping file for --mapping.", examples=examples)
    actions = result.add_subparsers(dest="action", required=True)
    guessing = actions.add_parser("suggest", help="guess the field of each column, with the reason", examples=examples)
    guessing.add_argument("file", type=Path, help="CSV or Parquet")
    guessing.add_argument("--output", type=Path, help="file to write (default: standard output)")
    return result


@command("vouch mapping", TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    frame = sample(options.file)
    text = to_yaml(suggest(frame), options.file.name, len(frame))
    if options.output is None:
        sys.stdout.write(text)
        return 0
    with atomic_write(options.output) as partial:
        partial.write_text(text)
    print(f"{options.output}: check it, then run `vouch train --dataset {options.file} --mapping {options.output}`")
    return 0
