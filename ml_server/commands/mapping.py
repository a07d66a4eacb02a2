"""`vouch mapping`: suggest a mapping for a file of another format, and check what it reads."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from contract.tables import TableError
from ml_server.data.datasets import sample
from ml_server.data.mapping import MappingError, Report, read_mapping
from ml_server.data.preview import ReadOrder, ReadValue, preview
from ml_server.data.suggestion.as_yaml import to_yaml
from ml_server.data.suggestion.suggest import suggest
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import atomic_write
from runtime.process.terminal import escape_unprintable

_MAX_LENGTH = 60


def parser() -> CommandParser:
    """Return the parser of `vouch mapping`."""
    suggesting = ("vouch mapping suggest shop.csv", "vouch mapping suggest shop.csv --output mapping.yaml")
    looking = ("vouch mapping check shop.csv --mapping mapping.yaml",)
    result = CommandParser(
        prog="vouch mapping",
        description="Suggest a mapping file for --mapping, and check it.",
        examples=suggesting + looking,
    )
    actions = result.add_subparsers(dest="action", required=True)
    guessing = actions.add_parser(
        "suggest", help="guess the field of each column, with the reason", examples=suggesting
    )
    guessing.add_argument("file", type=Path, help="CSV, Parquet, Excel, or a folder of them")
    guessing.add_argument("--output", type=Path, help="file to write (default: standard output)")
    checking = actions.add_parser("check", help="show the first orders beside their cells", examples=looking)
    checking.add_argument("file", type=Path, help="CSV, Parquet, Excel, or a folder of them")
    checking.add_argument("--mapping", type=Path, required=True, help="the mapping file")
    checking.add_argument("--orders", type=int, default=5, help="number of orders to show (default: 5)")
    checking.add_argument("--json", action="store_true", help="print JSON")
    return result


@command("vouch mapping", TableError, MappingError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    if options.action == "check":
        return _check(options.file, options.mapping, options.orders, options.json)
    frame = sample(options.file)
    text = to_yaml(suggest(frame), options.file.name, len(frame))
    if options.output is None:
        sys.stdout.write(text)
        return 0
    with atomic_write(options.output) as partial:
        partial.write_text(text)
    print(f"{options.output}: check it with `vouch mapping check {options.file} --mapping {options.output}`")
    return 0


def _check(file: Path, mapping_file: Path, count: int, as_json: bool) -> int:
    if count < 1:
        raise MappingError(f"--orders must be at least 1, not {count}")
    report = Report()
    orders = preview(file, read_mapping(mapping_file), count, report)
    if as_json:
        print(
            json.dumps({"orders": [asdict(order) for order in orders], "findings": report.lines}, default=str, indent=2)
        )
        return 0
    for order in orders:
        print("\n".join(_lines(order)), end="\n\n")
    for line in report.lines:
        print(escape_unprintable(line))
    return 0


def _lines(order: ReadOrder) -> Iterator[str]:
    yield f"row {order.row:,}" if order.row is not None else "a row beyond the sample"
    width = max(len(value.name) for value in order.values)
    for value in order.values:
        yield f"  {value.name:{width}}  {_shown(value):24}  {_cells(value)}".rstrip()


def _shown(value: ReadValue) -> str:
    if value.value is None:
        return "unknown"
    text = str(value.value).lower() if isinstance(value.value, bool) else str(value.value)
    return escape_unprintable(text[:_MAX_LENGTH])


def _cells(value: ReadValue) -> str:
    cells = (
        f"{column}: {'empty' if cell is None else repr(cell[:_MAX_LENGTH])}" for column, cell in value.cells.items()
    )
    return escape_unprintable("; ".join(cells))
