"""`vouch generate`: write a labelled dataset and check it."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from data_gen.generating import Maker, generate
from data_gen.network import FAMILIES, PatternError
from data_gen.plan import DEFAULT_RATIOS, PlanError, make_plan
from data_gen.rows import SCHEMA
from data_gen.summary import Summary
from data_gen.validation import statistics, validate
from data_gen.writing import OutputError, complete_or_nothing, ending_of


def parser() -> argparse.ArgumentParser:
    """The options of `vouch generate`."""
    result = argparse.ArgumentParser(prog="vouch generate", description="Write a labelled synthetic dataset.")
    result.add_argument("--size", type=int, default=50_000, help="rows (default: 50000)")
    result.add_argument("--output", type=Path, help="CSV or Parquet by the ending (default: abuse_dataset_<size>.csv)")
    result.add_argument("--seed", type=int, default=42, help="same seed, same bytes (default: 42)")
    for family in FAMILIES:
        flag = f"--{family.replace('_', '-')}-ratio"
        result.add_argument(
            flag, type=float, default=DEFAULT_RATIOS[family], help=f"default: {DEFAULT_RATIOS[family]:g}"
        )
    result.add_argument("--no-validate", action="store_true", help="skip the checks at the end")
    return result


def show_progress(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Pass batches on; a bar on a terminal, a plain line for each tenth otherwise. On standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        columns = (TextColumn("generating"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("rows", total=rows)
            for batch in batches:
                yield batch
                progress.advance(task, batch.num_rows)
        return
    done, told = 0, 0
    for batch in batches:
        yield batch
        done += batch.num_rows
        if done * 10 // rows > told:
            told = done * 10 // rows
            print(f"generated {done:,} of {rows:,} rows", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 1 a check failed, 2 it could not run."""
    options = parser().parse_args(arguments)
    output = options.output or Path(f"abuse_dataset_{options.size}.csv")
    ratios = {family: getattr(options, f"{family}_ratio") for family in FAMILIES}
    summary = Summary()
    try:
        ending_of(output)
        if options.seed < 0:
            raise PlanError(f"seed must be 0 or more, not {options.seed}")
        from data_gen.patterns import PATTERNS

        plan = make_plan(options.size, ratios, PATTERNS)
        maker = Maker(plan, options.seed)
        with complete_or_nothing(output) as open_sink:
            sink = open_sink(SCHEMA)
            for batch in show_progress(generate(maker, plan), plan.rows):
                sink.write_batch(batch)
                if not options.no_validate:
                    summary.add(batch)
    except (PlanError, PatternError, OutputError) as error:
        print(f"vouch generate: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vouch generate: stopped, {output} was not written", file=sys.stderr)
        return 130
    print(f"{output}: {plan.rows:,} rows, {len(SCHEMA)} columns, seed {options.seed}")
    return 0 if options.no_validate else report(summary, ratios)


def report(summary: Summary, ratios: dict[str, float]) -> int:
    """Print statistics and checks; return 1 when one failed, else 0."""
    for line in statistics(summary):
        print(line)
    failed = 0
    for check in validate(summary, ratios):
        failed += not check.passed
        print(f"{'ok  ' if check.passed else 'FAIL'} {check.name}{': ' + check.finding if check.finding else ''}")
    if failed:
        print(f"vouch generate: {failed} check{'s' if failed > 1 else ''} failed", file=sys.stderr)
    return 1 if failed else 0
