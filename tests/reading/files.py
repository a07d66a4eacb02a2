"""Reads small files through mappings, for tests."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from ml_server.data.datasets import read_mapped
from ml_server.data.mapping import Report, read_mapping

CASES = Path(__file__).parent / "cases"
BASE = """columns:
  transaction_id: order_id
  timestamp: order_date
  user_id: customer_id
  order_amount: amount
"""
Read = Callable[[Path, str], tuple[pa.Table, str]]
"""Returns the orders of a file by the text of a mapping, and the lines of the report."""


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Return a function that reads a file by the text of a mapping."""

    def read_by(path: Path, mapping: str) -> tuple[pa.Table, str]:
        (tmp_path / "mapping-of-the-test.yaml").write_text(mapping)
        report = Report()
        tables = list(read_mapped(path, read_mapping(tmp_path / "mapping-of-the-test.yaml"), report))
        return pa.concat_tables(tables), "\n".join(report.lines)

    return read_by


def times_of(table: pa.Table, rows: int = 3) -> list[str]:
    """Return the first timestamps as text."""
    return [str(time) for time in table.column("timestamp").to_pylist()[:rows]]


def abuse_in(table: pa.Table) -> int:
    """Return the number of orders that are abuse."""
    return sum(table.column("is_abuse").to_pylist())
