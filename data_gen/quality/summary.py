"""Statistics of a file for validation, accumulated batch by batch in constant memory."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from contract.abuse_types import ALL_TYPES
from data_gen.arrow import texts, unpack
from enrichment.money import AMOUNTS, Money
from enrichment.money_tables import convert_column, rates_of
from enrichment.rate_files import read_money

DOLLARS: Money = read_money()
"""The currency of limits and characteristics, with the rates into it."""


@dataclass
class ColumnSummary:
    """Statistics of a column: absent values, extremes, and number and sum of the present values by abuse type."""

    nulls: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")
    present: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALL_TYPES) + 1))
    sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALL_TYPES) + 1))


@dataclass
class Summary:
    """Statistics of a file. Rows without a known abuse type count in the last element of each array only."""

    rows: int = 0
    rows_by_type: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(ALL_TYPES) + 1, dtype=np.int64))
    columns: dict[str, ColumnSummary] = field(default_factory=dict)
    labelled: bool = True
    ordered: bool = True
    first_time: int | None = None
    last_time: int | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch. A text column counts as an indicator of the value that is a sign of abuse, see INDICATORS.

        Amounts are counted in dollars.
        """
        self.rows += batch.num_rows
        kind = _abuse_types(batch)
        self.labelled &= kind is not None
        rates = rates_of(pa.Table.from_batches([batch]), DOLLARS)
        groups = kind if kind is not None else np.full(batch.num_rows, len(ALL_TYPES))
        self.rows_by_type += np.bincount(groups, minlength=len(ALL_TYPES) + 1)
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            summary = self.columns.setdefault(name, ColumnSummary())
            summary.nulls += column.null_count
            numbers = _numbers(name, column)
            if numbers is None:
                continue
            if rates is not None and name in AMOUNTS:
                numbers = convert_column(numbers, rates)
            valid = ~np.isnan(numbers)
            if not valid.all():
                numbers, where = numbers[valid], groups[valid]
            else:
                where = groups
            if len(numbers):
                summary.lowest = min(summary.lowest, float(numbers.min()))
                summary.highest = max(summary.highest, float(numbers.max()))
                summary.present += np.bincount(where, minlength=len(ALL_TYPES) + 1)
                summary.sums += np.bincount(where, weights=numbers, minlength=len(ALL_TYPES) + 1)
        times = unpack(batch.column("timestamp"))
        if len(times):
            part = Summary(
                first_time=int(times[0]), last_time=int(times[-1]), ordered=bool((np.diff(times) >= 0).all())
            )
            self._extend_span(part)

    def merge(self, later: "Summary") -> None:
        """Add the summary of the rows that follow these."""
        self.rows += later.rows
        self.rows_by_type += later.rows_by_type
        self.labelled &= later.labelled
        for name, other in later.columns.items():
            column = self.columns.setdefault(name, ColumnSummary())
            column.nulls += other.nulls
            column.lowest = min(column.lowest, other.lowest)
            column.highest = max(column.highest, other.highest)
            column.present += other.present
            column.sums += other.sums
        self._extend_span(later)

    def _extend_span(self, later: "Summary") -> None:
        """Extend the time span, and detect timestamps that go backwards."""
        if later.first_time is None:
            return
        follows = self.last_time is None or later.first_time >= self.last_time
        self.ordered = self.ordered and later.ordered and follows
        self.first_time = later.first_time if self.first_time is None else self.first_time
        self.last_time = later.last_time

    def mean(self, column: str, abuse_type: str) -> float:
        """Return the mean of a column's present values of an abuse type; NaN if there are none."""
        type_code, summary = ALL_TYPES.index(abuse_type), self.columns[column]
        return (
            float(summary.sums[type_code] / summary.present[type_code]) if summary.present[type_code] else float("nan")
        )


INDICATORS = {
    "cvv_check_result": "fail",
    "avs_result": "no_match",
    "three_ds_result": "failed",
    "payment_processor_response": "suspected_fraud",
    "payment_method": "crypto",
}
"""Text columns are summarised as the share of this value."""


def _abuse_types(batch: pa.RecordBatch) -> NDArray[np.int64] | None:
    if "abuse_type" not in batch.schema.names:
        return None
    type_codes = pc.index_in(batch.column("abuse_type").cast(pa.string()), value_set=texts(ALL_TYPES))
    # NaN if the type is unknown
    result: NDArray[np.int64] = np.nan_to_num(unpack(type_codes), nan=len(ALL_TYPES)).astype(np.int64)
    return result


def _numbers(name: str, column: pa.Array) -> NDArray[np.float64] | None:
    if name in INDICATORS:
        column = pc.equal(column.cast(pa.string()), texts([INDICATORS[name]])[0])
    if not (pa.types.is_boolean(column.type) or pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return None
    return unpack(column).astype(np.float64)
