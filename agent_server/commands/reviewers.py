"""`vouch reviewers`: show the quality of reviewers."""

from collections.abc import Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from agent_server.commands.ages import days_ago, parse_days
from agent_server.commands.client import open_client, print_error
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.process.command_line import NEGATIVE, NOT_NOW, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json, to_dict
from runtime.process.terminal import escape_unprintable

_WIDEST = 10_000
_COLUMNS = (
    "reviewer",
    "verdicts",
    "median time",
    "overrides",
    "golden right",
    "pairs agreed",
    "kappa",
    "wrong of checked",
    "",
)


def parser() -> CommandParser:
    """Return the parser of the command line."""
    result = CommandParser(
        prog="vouch reviewers",
        description="Show the quality of reviewers.",
        examples=("vouch reviewers --since 30d", "vouch reviewers --json"),
        codes={NEGATIVE: "the agent refused the call", NOT_NOW: "the agent is unavailable; try again"},
    )
    result.add_json_option()
    result.add_argument("--since", type=parse_days, metavar="30d", help="only verdicts of this period")
    return result


@command("vouch reviewers")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    request = cases.ListReviewersRequest()
    if options.since is not None:
        request.since.CopyFrom(Timestamp(seconds=days_ago(options.since) // 1_000_000))
    with open_client(CaseServiceStub) as call:
        try:
            answer = call("ListReviewers", request)
        except grpc.RpcError as error:
            return print_error("vouch reviewers", error)
    if options.json:
        print_json(to_dict(answer))
        return OK
    if not answer.reviewers:
        print("no verdicts yet")
        return OK
    console = Console(highlight=False, soft_wrap=True)
    show(console, [[escape_unprintable(cell) for cell in _cells(quality)] for quality in answer.reviewers])
    agreement = f"kappa {_kappa(answer)}" if answer.HasField("kappa") else "too few for kappa"
    console.print(f"{answer.paired:,} orders were reviewed twice: {agreement}")
    return OK


def show(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Print a row per reviewer, or a block of lines if the terminal is too narrow. Nothing is truncated."""
    table = Table()
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("reviewer", "") else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(escape, row))
    needed = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
    if not console.is_terminal or needed <= console.width:
        console.width = max(console.width, needed)
        console.print(table)
        return
    for row in rows:
        for name, value in zip(_COLUMNS, row, strict=True):
            if value:
                console.print(f"{'' if name == 'reviewer' else '  '}{f'{name} {value}'.strip()}", markup=False)


def _cells(quality: cases.ReviewerQuality) -> list[str]:
    errors = f"{quality.wrong} of {quality.checked}"
    if quality.checked:
        errors += f" ({quality.error_low:.0%} to {quality.error_high:.0%})"
    return [
        quality.reviewer or "(no name)",
        f"{quality.verdicts:,}",
        f"{quality.median_seconds:.0f} s",
        f"{quality.overridden} of {quality.recommended}",
        f"{quality.golden_right} of {quality.golden}",
        f"{quality.agreed} of {quality.paired}",
        _kappa(quality) if quality.HasField("kappa") else "",
        errors,
        "higher error rate than others" if quality.stands_out else "",
    ]


def _kappa(answer: cases.ReviewerQuality | cases.ListReviewersResponse) -> str:
    return f"{answer.kappa.kappa:.2f} ({answer.kappa.low:.2f} to {answer.kappa.high:.2f})"
