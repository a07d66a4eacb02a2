"""`make bench-generate`: speed of row generation, compared with Arrow writing a finished table.

Every value comes from its own process, pinned to one core unless it uses two workers. Rounds are interleaved.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from testing.reports.results import entry, write
from testing.servers.launching import run

SIZES = {"one": 1_000_000, "large": 10_000_000}
ROUNDS = 3


def measure(job: str, size: int, target: str) -> list[float]:
    """Return rows per second, peak memory (MB) and set-up (s) of a job in its own process."""
    done = run("-m", "bench.generate", "--job", job, "--size", str(size), "--target", target, seconds=1800)
    assert done.returncode == 0, done.stderr
    return [float(figure) for figure in done.stdout.split()[-3:]]


def job(name: str, size: int, target: Path) -> None:
    """Run one job and print rows per second, peak memory, and the seconds of set-up (imports and tables) before it."""
    workers = 2 if name == "two_workers" else 1
    if workers == 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    setup, started = 0.0, time.perf_counter()
    from data_gen.output.formats import format_of
    from data_gen.output.generator import RowGenerator, batches
    from data_gen.output.plan import make_plan
    from data_gen.output.rows import BATCH_SCHEMA
    from data_gen.output.workers import write_dataset
    from data_gen.patterns import PATTERNS
    from data_gen.patterns.shares import DEFAULT_RATIOS

    plan = make_plan(size, DEFAULT_RATIOS, PATTERNS)
    generator = RowGenerator(plan, 42)
    if name == "writer":
        finished = list(batches(generator, plan))
        output = format_of(target)
        started = time.perf_counter()
        output.open(str(target), BATCH_SCHEMA)
        for batch in finished:
            output.append(output.encode(batch))
        output.close()
    else:
        setup, started = time.perf_counter() - started, time.perf_counter()
        write_dataset(generator, plan, target, workers)
    seconds = time.perf_counter() - started
    usage = resource.getrusage
    peak = usage(resource.RUSAGE_SELF).ru_maxrss + workers // 2 * 2 * usage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(size / seconds, peak / 1024, setup)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all rounds and write the results; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.generate", description=__doc__)
    parser.add_argument("--short", action="store_true", help="run everything once with few rows and write no results")
    parser.add_argument("--job", choices=("one_worker", "two_workers", "writer"))
    parser.add_argument("--size", type=int)
    parser.add_argument("--target", type=Path)
    options = parser.parse_args(arguments)
    if options.job:
        job(options.job, options.size, options.target)
        return 0
    rounds, sizes = (1, {"one": 200, "large": 400}) if options.short else (ROUNDS, SIZES)
    figures: dict[str, list[float]] = {}
    setups: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for ending in ("parquet", "csv"):
                for name in ("one_worker", "two_workers", "writer"):
                    rate, _, setup = measure(name, sizes["one"], f"{folder}/x.{ending}")
                    setups += [setup] if setup else []
                    figures.setdefault(f"{ending}_{name}", []).append(rate)
        rate, peak, _ = measure("one_worker", sizes["large"], f"{folder}/x.parquet")
    results = {key: entry(values, "rows/s") for key, values in figures.items()}
    for ending in ("parquet", "csv"):
        pairs = zip(
            figures[f"{ending}_one_worker"], figures[f"{ending}_writer"], figures[f"{ending}_two_workers"], strict=True
        )
        ratios = [(one / limit, two / one) for one, limit, two in pairs]
        results[f"{ending}_vs_writer"] = entry([each[0] for each in ratios], "ratio")
        results[f"{ending}_two_vs_one"] = entry([each[1] for each in ratios], "ratio")
    results["setup"] = entry(setups, "s")
    results["parquet_10m"] = entry([rate], "rows/s")
    results["parquet_10m_vs_1m"] = entry([rate / results["parquet_one_worker"]["median"]], "ratio")
    results["parquet_10m_peak_memory"] = entry([peak], "MB")
    write("generate", results, short=options.short)
    return 0


if __name__ == "__main__":
    sys.exit(main())
