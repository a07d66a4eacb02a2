"""`vouch.generate` and `vouch.history`."""

from pathlib import Path

import pandas as pd
import polars
import pyarrow as pa
import pytest

import vouch
from contract.tables import read_table
from testing.servers.processes import call


def test_a_frame_has_the_rows_of_the_command(tmp_path: Path) -> None:
    """The frame holds the rows that `vouch generate` writes with the same seed."""
    done = call("generate", "--size", "300", "--seed", "5", "--output", str(tmp_path / "o.parquet"), "--no-validate")
    assert done.returncode == 0, done.stderr
    wanted = read_table(tmp_path / "o.parquet")
    frame = vouch.generate(300, seed=5, library="arrow")
    assert frame.select(wanted.column_names).cast(wanted.schema).equals(wanted)


def test_each_library_is_served() -> None:
    """Return a frame of the requested library; refuse any other name."""
    kinds = {"pandas": pd.DataFrame, "polars": polars.DataFrame, "arrow": pa.Table}
    for name, kind in kinds.items():
        assert isinstance(vouch.generate(50, library=name), kind)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pandas, polars, arrow"):
        vouch.generate(50, library="numpy")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size must be at least 1"):
        vouch.generate(0)


def test_history_fills_in_what_is_left_out() -> None:
    """Counts of the past are computed for a frame without them; values that are there stay."""
    orders = vouch.generate(400, stream=True)
    bare = orders.drop(columns=["orders_last_24h"])
    known = vouch.history.compute(bare)
    late = orders.timestamp > orders.timestamp.min() + pd.Timedelta(days=2)
    assert known.orders_last_24h[late].notna().all()
    pd.testing.assert_series_equal(known.total_orders_lifetime, orders.total_orders_lifetime, check_dtype=False)
