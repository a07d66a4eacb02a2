"""`vouch validate FILE`: the generator's checks on any file, also on one that others made."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_gen.audit import audit
from data_gen.reporting import all_checks, tell
from data_gen.sample import Sample
from data_gen.summary import Summary
from runtime.tables import TableError, read_batches

_EVERY = 5  # rows of foreign files are not counted first; a fifth of a million is sample enough


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 all checks hold, 1 one failed, 2 the file cannot be read."""
    parser = argparse.ArgumentParser(prog="vouch validate", description="Check a file of orders, CSV or Parquet.")
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    summary, sample = Summary(), Sample()
    size = options.file.stat().st_size if options.file.is_file() else 0
    every = 1 if size < 100 << 20 else _EVERY
    try:
        for batch in read_batches(options.file):
            summary.add(batch)
            sample.add(batch, every)
    except TableError as error:
        print(f"vouch validate: {error}", file=sys.stderr)
        return 2
    if not summary.rows:
        print(f"vouch validate: {options.file}: the file has no rows", file=sys.stderr)
        return 2
    found = audit(sample)
    print(f"{options.file}: {summary.rows:,} rows, {len(summary.columns)} known columns")
    return tell("vouch validate", summary, all_checks(summary, found, None), found)
