"""`vouch.generate`: labelled synthetic orders as a frame."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final, Literal

import pyarrow as pa

from data_gen.output.plan import DAYS, END, PlanError, make_plan
from data_gen.patterns import PATTERNS
from data_gen.patterns.shares import DEFAULT_RATIOS
from data_gen.stream.generator import make_generator

Library = Literal["pandas", "polars", "arrow"]
_KINDS: Final = ("pandas", "polars", "arrow")


def generate(
    size: int = 10_000, *, seed: int = 42, stream: bool = False, ratios: Mapping[str, float] | None = None,
    days: int = DAYS, end_date: dt.datetime = END, library: Library = "pandas",
) -> Any:  # fmt: skip
    """Return the rows of `vouch generate` with the same options: columns of the contract, then the labels.

    `stream` lets customers, devices, cards and attackers return. `ratios` are shares by abuse type, 1 in total. Raises
    ValueError where no rows can be made of these.
    """
    if library not in _KINDS:
        raise ValueError(f"library must be one of {', '.join(_KINDS)}, not {library!r}")
    if seed < 0:
        raise PlanError(f"seed must be 0 or more, not {seed}")
    plan = make_plan(size, {**DEFAULT_RATIOS, **(ratios or {})}, PATTERNS, end_date, days)
    generator, plan = make_generator(plan, seed, stream=stream)
    table = pa.Table.from_batches([generator(chunk) for chunk in plan.chunks])
    table = pa.table({name: _decoded(table.column(name)) for name in table.column_names})
    if library == "arrow":
        return table
    if library == "polars":
        import polars  # an optional library

        return polars.from_arrow(table)
    return table.to_pandas()


def _decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts as texts: codes of small dictionaries would surprise most."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
