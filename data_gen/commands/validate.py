"""`vouch validate FILE`: the generator's checks on any file, also one from another source."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from contract.files.table_file import TableFile
from contract.tables import TableError, read_batches
from data_gen.quality.audit import audit
from data_gen.quality.checks import Check
from data_gen.quality.findings import all_checks, print_findings
from data_gen.quality.sample import Sample
from data_gen.quality.summary import Summary
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable

_EVERY = 5  # the rows of other files are not counted first; a fifth of at least a million is a sufficient sample


def parser() -> CommandParser:
    """Return the parser of `vouch validate`."""
    result = CommandParser(
        prog="vouch validate",
        description="Check orders: CSV, Parquet, .xlsx or .zip, or a folder of these.",
        examples=("vouch validate orders.csv", "vouch validate orders.csv --json"),
        codes={NEGATIVE: "a check failed"},
    )
    result.add_argument("file", type=Path, help="CSV, Parquet, .xlsx or .zip, or a folder of these")
    result.add_json_option()
    return result


@command("vouch validate", TableError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    summary, sample, ids = Summary(), Sample(), Ids()
    size = options.file.stat().st_size if options.file.is_file() else 0
    every = 1 if size < 100 << 20 else _EVERY
    for note in TableFile(options.file).notes:
        print(escape_unprintable(note))
    for batch in read_batches(options.file):
        summary.add(batch)
        sample.add(batch, every)
        ids.add(batch)
    if not summary.rows:
        raise TableError(f"{options.file}: the file has no rows")
    audited = audit(sample)
    checks = [ids.check(), *all_checks(summary, audited, None)]
    if options.json:
        print_json(
            {
                "rows": summary.rows,
                "columns": sorted(summary.columns),
                "column_auc": audited.column_auc if audited else {},
                "checks": [asdict(check) for check in checks],
            }
        )
        return OK if all(check.passed for check in checks) else NEGATIVE
    print(f"{options.file}: {summary.rows:,} rows, {len(summary.columns)} known columns")
    return print_findings("vouch validate", summary, checks, audited)


class Ids:
    """Check for duplicate transaction ids, by 64-bit hashes: eight bytes a row."""

    def __init__(self) -> None:
        self._hashes: list[NDArray[np.uint64]] = []

    def add(self, batch: pa.RecordBatch) -> None:
        """Add the ids of a batch."""
        ids = batch.column("transaction_id").to_numpy(zero_copy_only=False)
        self._hashes.append(pd.util.hash_array(ids, categorize=False))

    def check(self) -> Check:
        """Return the result of the check."""
        hashes = np.sort(np.concatenate(self._hashes))
        repeated = int((hashes[1:] == hashes[:-1]).sum())
        return Check("transaction ids are unique", not repeated, f"{repeated:,} rows repeat an id" if repeated else "")
