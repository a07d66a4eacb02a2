"""`vouch outcomes`: report outcomes of orders from a file."""

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.commands.client import CallMethod, open_client, print_error
from contract.fields import short_names
from generated.vouch.v1 import outcome_service_pb2 as pb
from generated.vouch.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable

KINDS = short_names(pb.OutcomeKind.DESCRIPTOR)
REQUIRED_COLUMNS = ("transaction_id", "kind", "occurred_at", "source")
_MAX_PRINTED = 20
_REFUSED = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


class FileError(Exception):
    """The file cannot be read. The message says why."""


_CODES = {NEGATIVE: "lines were refused", NOT_NOW: "the agent is unavailable; import the file again later"}


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch outcomes",
        description="Report outcomes of orders.",
        examples=("vouch outcomes import outcomes.csv",),
        codes=_CODES,
    )
    actions = result.add_subparsers(dest="action", required=True)
    imported = actions.add_parser(
        "import",
        help="report every line of a CSV file; importing a file twice has no effect",
        examples=("vouch outcomes import outcomes.csv", "vouch outcomes import outcomes.csv --json"),
        codes=_CODES,
    )
    imported.add_argument("file", type=Path, help=f"columns {', '.join(REQUIRED_COLUMNS)}, and optionally abuse_type")
    imported.add_json_option()
    return result


@command("vouch outcomes", FileError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    counts: Counter[str] = Counter()
    with open_client(OutcomeServiceStub) as call:
        try:
            for number, row in _rows(options.file):
                counts[_report_line(call, number, row, print_refusal=counts["refused"] < _MAX_PRINTED)] += 1
        except grpc.RpcError as error:
            return print_error("vouch outcomes", error)
    results = ("reported", "known before", "refused")
    if options.json:
        print_json({name.replace(" ", "_"): counts[name] for name in results})
    else:
        print(", ".join(f"{counts[name]:,} {name}" for name in results))
    return NEGATIVE if counts["refused"] else OK


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of the file with their numbers. Raises FileError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in REQUIRED_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise FileError(f"{path} has no column {missing[0]}; required are {', '.join(REQUIRED_COLUMNS)}")
            yield from enumerate(reader, 2)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _report_line(call: CallMethod, number: int, row: dict[str, Any], *, print_refusal: bool) -> str:
    """Report the outcome in a line; return the result: reported, known before, or refused."""
    try:
        answer = call("ReportOutcome", _request(row))
    except ValueError as error:
        problem = str(error)
    except grpc.RpcError as error:
        if error.code() not in _REFUSED:
            raise
        problem = str(error.details())
    else:
        return "known before" if answer.repeated_report else "reported"
    if print_refusal:
        print(escape_unprintable(f"line {number}: {problem}"), file=sys.stderr)
    return "refused"


def _request(row: dict[str, Any]) -> pb.ReportOutcomeRequest:
    """Return the request for a line. Raises ValueError that names the column."""
    kind, occurred_at = str(row["kind"]).strip(), Timestamp()
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    try:
        text = str(row["occurred_at"]).strip().replace(" ", "T")
        occurred_at.FromJsonString(text if text.endswith("Z") or "+" in text else f"{text}Z")
    except ValueError as error:
        raise ValueError("occurred_at must be a time like 2025-03-20T08:00:00Z") from error
    return pb.ReportOutcomeRequest(
        transaction_id=row["transaction_id"],
        kind=KINDS[kind],  # type: ignore[arg-type]
        occurred_at=occurred_at,
        source=row["source"],
        abuse_type=row.get("abuse_type") or "",
    )
