"""`vouch generate`: write a labelled dataset, check it, and print its statistics."""

import argparse
import contextlib
import datetime as dt
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from contract.abuse_types import ALL_TYPES
from data_gen.commands.custom_patterns import load_patterns
from data_gen.language.pattern import PatternError
from data_gen.output.formats import format_of
from data_gen.output.manifest import write_manifest
from data_gen.output.plan import DAYS, END, PlanError, make_plan
from data_gen.output.workers import write_dataset
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.quality.audit import audit
from data_gen.quality.findings import all_checks, print_findings
from data_gen.quality.report import write_report
from data_gen.stream.behaviour import behaviour_parameters
from data_gen.stream.generator import make_generator
from runtime.process.command_line import INTERRUPTED, NEGATIVE, CommandParser
from runtime.process.commands import command


def _date(text: str) -> dt.datetime:
    return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)


def parser() -> CommandParser:
    """Return the option parser of `vouch generate`."""
    result = CommandParser(
        prog="vouch generate",
        description="Write a labelled synthetic dataset.",
        examples=(
            "vouch generate --size 1000 --output orders.csv",
            "vouch generate --size 200000 --stream --workers 2 --output orders.parquet",
        ),
        codes={NEGATIVE: "a check of the data failed; the file is written"},
    )
    result.add_argument("--size", type=int, default=50_000, help="rows (default: 50000)")
    result.add_argument("--output", type=Path, help="CSV or Parquet by the ending (default: abuse_dataset_<size>.csv)")
    result.add_argument("--seed", type=int, default=42, help="same seed, same bytes (default: 42)")
    for abuse_type in ALL_TYPES:
        flag = f"--{abuse_type.replace('_', '-')}-ratio"
        result.add_argument(
            flag, type=float, default=DEFAULT_RATIOS[abuse_type], help=f"default: {DEFAULT_RATIOS[abuse_type]:g}"
        )
    result.add_argument("--days", type=int, default=DAYS, help=f"days that the orders span (default: {DAYS})")
    result.add_argument(
        "--end-date", type=_date, default=END, help=f"day after the last order (default: {END:%Y-%m-%d})"
    )
    result.add_argument(
        "--workers", type=int, default=1, help="processes; any number gives the same bytes (default: 1)"
    )
    result.add_argument("--patterns", type=Path, help="Python file with your own PATTERNS")
    result.add_argument(
        "--stream",
        action="store_true",
        help="simulate returning customers, devices, cards and attackers; history counts are computed",
    )
    result.add_argument("--report", type=Path, help="write an HTML report about the data")
    result.add_argument("--no-validate", action="store_true", help="skip the checks at the end")
    return result


@contextlib.contextmanager
def progress_reporter(total: int) -> Iterator[Callable[[int], None]]:
    """Yield a function that reports finished rows on stderr: as a bar on a terminal, else a line for each tenth."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as bar:
            task = bar.add_task("rows", total=total)
            yield lambda rows: bar.advance(task, rows)
        return
    done = printed = 0

    def print_tenths(rows: int) -> None:
        nonlocal done, printed
        done += rows
        if done * 10 // total > printed:
            printed = done * 10 // total
            print(f"generated {done:,} of {total:,} rows", file=sys.stderr)

    yield print_tenths


@command("vouch generate", PlanError, PatternError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    output: Path = options.output or Path(f"abuse_dataset_{options.size}.csv")
    interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    for stop in (signal.SIGTERM, signal.SIGINT):  # an interrupted run removes its partial file
        if signal.getsignal(stop) is not signal.SIG_IGN:
            signal.signal(stop, interrupt)
    try:
        return _run(options, output)
    except (KeyboardInterrupt, Exception):
        # An interrupt raised inside a lock can surface as the lock's own error.
        if not interrupted:
            raise
        print(f"vouch generate: stopped, {output} was not written", file=sys.stderr)
        return INTERRUPTED


def _run(options: argparse.Namespace, output: Path) -> int:
    format_of(output)
    if options.seed < 0:
        raise PlanError(f"seed must be 0 or more, not {options.seed}")
    if options.workers < 1:
        raise PlanError(f"workers must be at least 1, not {options.workers}")
    ratios = {abuse_type: getattr(options, f"{abuse_type}_ratio") for abuse_type in ALL_TYPES}
    patterns = load_patterns(options.patterns)
    plan = make_plan(options.size, ratios, patterns, options.end_date, options.days)
    generator, plan = make_generator(plan, options.seed, patterns, stream=options.stream)
    with progress_reporter(plan.rows) as progress:
        summary, sample = write_dataset(generator, plan, output, options.workers, progress)
    audited = None if options.no_validate and not options.report else audit(sample)
    recorded: dict[str, Any] = {
        "size": options.size,
        "ratios": ratios,
        "days": options.days,
        "end_date": f"{options.end_date:%Y-%m-%d}",
        "patterns": options.patterns.name if options.patterns else None,
    }
    if options.stream:
        recorded["stream"] = behaviour_parameters({name for name, ratio in ratios.items() if ratio})
    write_manifest(output, generator.network, plan, options.seed, recorded, audited)
    checks = all_checks(summary, audited, ratios)
    if options.report:
        write_report(options.report, output.name, options.seed, summary, sample, audited, checks)
    print(f"{output}: {plan.rows:,} rows, {len(generator.schema)} columns, seed {options.seed}")
    return 0 if options.no_validate else print_findings("vouch generate", summary, checks, audited)
