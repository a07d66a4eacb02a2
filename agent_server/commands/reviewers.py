"""`vouch reviewers`: how well people judge."""

import argparse
from collections.abc import Sequence

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from agent_server.commands.ages import age, long_ago
from agent_server.commands.client import asking, tell
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.process.commands import command
from runtime.process.terminal import plain

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


def parser() -> argparse.ArgumentParser:
    """The options."""
    result = argparse.ArgumentParser(prog="vouch reviewers", description="How well reviewers judge.")
    result.add_argument("--since", type=age, metavar="30d", help="only verdicts since")
    return result


@command("vouch reviewers")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 the agent refused or is away, 2 it could not run."""
    options = parser().parse_args(arguments)
    request = cases.ListReviewersRequest()
    if options.since is not None:
        request.since.CopyFrom(Timestamp(seconds=long_ago(options.since) // 1_000_000))
    with asking(CaseServiceStub) as ask:
        try:
            answer = ask("ListReviewers", request)
        except grpc.RpcError as error:
            tell("vouch reviewers", error)
            return 1
    if not answer.reviewers:
        print("nobody has given a verdict")
        return 0
    console = Console(highlight=False, soft_wrap=True)
    show(console, [[plain(cell) for cell in _cells(quality)] for quality in answer.reviewers])
    agreement = f"kappa {_kappa(answer)}" if answer.HasField("kappa") else "too few to tell a kappa"
    console.print(f"{answer.paired:,} orders were judged twice: {agreement}")
    return 0


def show(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """Print a row for each reviewer; where the terminal is too narrow for a row, a block. Nothing is cut."""
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
        "errs more often than the others" if quality.stands_out else "",
    ]


def _kappa(told: cases.ReviewerQuality | cases.ListReviewersResponse) -> str:
    return f"{told.kappa.kappa:.2f} ({told.kappa.low:.2f} to {told.kappa.high:.2f})"
