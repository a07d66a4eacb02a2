"""`vouch outcomes`: report outcomes of orders from a file."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from agent_server.commands.client import CallMethod, open_client, print_error
from contract.fields import Field, short_names
from contract.files.table_file import TableFile
from contract.tables import TableError
from generated.vouch.v1 import outcome_service_pb2 as pb
from generated.vouch.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from ml_server.data.datasets import read_mapped
from ml_server.data.mapping import FieldMapping, MappingError, Report, read_mapping
from ml_server.data.mapping_file import ColumnMapping, Targets
from ml_server.features.feature_set import Extra
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable

KINDS: Final = short_names(pb.OutcomeKind.DESCRIPTOR)
REQUIRED_COLUMNS: Final = ("transaction_id", "kind", "occurred_at", "source")
_WHY: Final = "an outcome says which order, what happened, when, and who reported it"
TARGETS: Final = Targets(
    {
        "transaction_id": Field("transaction_id", "text", {}), "kind": Field("kind", "enum", KINDS),
        "occurred_at": Field("occurred_at", "time", {}), "source": Field("source", "text", {}),
        "abuse_type": Field("abuse_type", "text", {}),
    },
    required=(), mapped=dict.fromkeys(REQUIRED_COLUMNS, _WHY), name="an outcome", numbered=("row",), unique=False,
)  # fmt: skip
"""Fields of outcomes. A row that lacks one is refused, and the others are reported."""
_MAX_PRINTED: Final = 20
_REFUSED: Final = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


_CODES: Final = {NEGATIVE: "lines were refused", NOT_NOW: "the agent is unavailable; import the file again later"}


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
        help="report every row of a file; importing a file twice has no effect",
        examples=(
            "vouch outcomes import outcomes.csv",
            "vouch outcomes import disputes.xlsx --mapping disputes.yaml",
            "vouch outcomes import outcomes.csv --json",
        ),
        codes=_CODES,
    )
    imported.add_argument(
        "file",
        type=Path,
        help=f"columns {', '.join(REQUIRED_COLUMNS)}, and optionally abuse_type; CSV, Parquet, .xlsx, .zip or a folder",
    )
    imported.add_argument("--mapping", type=Path, help="YAML that maps the columns of other formats")
    imported.add_json_option()
    return result


@command("vouch outcomes", TableError, MappingError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    counts: Counter[str] = Counter()
    report = Report()
    mapping = read_mapping(options.mapping, TARGETS) if options.mapping else find_mapping(options.file)
    with open_client(OutcomeServiceStub) as call:
        try:
            for row in read_outcomes(options.file, mapping, report):
                counts[_report_row(call, row, print_refusal=counts["refused"] < _MAX_PRINTED)] += 1
        except grpc.RpcError as error:
            return print_error("vouch outcomes", error)
    for line in report.lines:
        print(escape_unprintable(line), file=sys.stderr)
    results = ("reported", "known before", "refused")
    if options.json:
        print_json({name.replace(" ", "_"): counts[name] for name in results})
    else:
        print(", ".join(f"{counts[name]:,} {name}" for name in results))
    return NEGATIVE if counts["refused"] else OK


def find_mapping(path: Path) -> FieldMapping:
    """Return the mapping of a file with our columns, in which times without a zone are in UTC."""
    names = TableFile(path).names
    columns = {name: ColumnMapping(source=name) for name in TARGETS.fields if name in (*names, *REQUIRED_COLUMNS)}
    return FieldMapping(columns, None, Extra(), timezone="UTC", targets=TARGETS)


def read_outcomes(path: Path, mapping: FieldMapping, report: Report) -> Iterator[dict[str, Any]]:
    """Yield the outcomes of a file; what cannot be read is None."""
    orders = replace(mapping.without_label(), extra=Extra(), extra_sources={})
    for table in read_mapped(path, orders, report):
        yield from table.to_pylist()


def _report_row(call: CallMethod, row: dict[str, Any], *, print_refusal: bool) -> str:
    """Report the outcome in a row; return the result: reported, known before, or refused."""
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
        line = int(row["row"].removeprefix("row-")) + 1  # the header is line 1
        print(escape_unprintable(f"line {line}: {problem}"), file=sys.stderr)
    return "refused"


def _request(row: dict[str, Any]) -> pb.ReportOutcomeRequest:
    """Return the request for a row. Raises ValueError that names the column."""
    if row["kind"] is None:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}")
    if row["occurred_at"] is None:
        raise ValueError("occurred_at must be a time like 2025-03-20T08:00:00Z")
    occurred_at = Timestamp()
    occurred_at.FromDatetime(row["occurred_at"])
    return pb.ReportOutcomeRequest(
        transaction_id=row["transaction_id"] or "",
        kind=KINDS[row["kind"]],  # type: ignore[arg-type]
        occurred_at=occurred_at,
        source=row["source"] or "",
        abuse_type=row.get("abuse_type") or "",
    )
