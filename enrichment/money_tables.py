"""Amounts of tables in the base currency, with the same results as `money` for single orders, to the bit."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contract.texts import NORMALISED
from enrichment.money import AMOUNTS, MAX_AMOUNT, MAX_RATE, UNIT, Money, convert_back
from enrichment.rates import day_of

Numbers = npt.NDArray[np.float64]
_AVERAGE = "avg_order_value"


def convert_column(amounts: Numbers, rates: Numbers) -> Numbers:
    """Return amounts at rates, NaN where either is unknown, shape (rows,)."""
    with np.errstate(all="ignore"):
        converted = np.clip(np.rint(amounts * rates * UNIT) / UNIT, 1 / UNIT, MAX_AMOUNT)
    converted = np.where((rates == 1.0) | ~((amounts > 0) & (amounts <= MAX_AMOUNT)), amounts, converted)
    return np.where(np.isnan(rates), np.nan, converted)


def table_in_base(table: pa.Table, money: Money) -> pa.Table:
    """Return a table with all amounts in the base currency, and without currencies and rates if it has other ones."""
    rates = rates_of(table, money)
    if rates is None:
        return table
    for name in AMOUNTS:
        if name in table.column_names:
            place, column = table.column_names.index(name), table.column(name)
            values = convert_column(_floats(column), rates)
            table = table.set_column(place, name, pa.array(values, pa.float64(), mask=np.isnan(values)))
    place = table.column_names.index("currency") if "currency" in table.column_names else -1
    if place >= 0:
        table = table.set_column(place, "currency", pa.array([money.base] * table.num_rows, pa.string()))
    return table.drop_columns(["exchange_rate"]) if "exchange_rate" in table.column_names else table


def unknown_currencies(table: pa.Table, money: Money) -> dict[str, int]:
    """Return the currencies of amounts without a rate, with their number of rows."""
    rates = rates_of(table, money)
    if rates is None or "order_amount" not in table.column_names:
        return {}
    unknown = np.isnan(rates) & ~np.isnan(_floats(table.column("order_amount")))
    currencies = _currencies(table.column("currency"))
    return dict(Counter(currencies[row] for row in np.flatnonzero(unknown)))


def rates_of(table: pa.Table, money: Money) -> Numbers | None:
    """Return the rate of each row, NaN where it is unknown; None if all amounts are in the base currency."""
    names = table.column_names
    currencies = _currencies(table.column("currency")) if "currency" in names else [""] * table.num_rows
    stated = _floats(table.column("exchange_rate")) if "exchange_rate" in names else np.full(table.num_rows, np.nan)
    if set(currencies) <= {"", money.base} and np.isnan(stated).all():
        return None
    seconds = pc.cast(table.column("timestamp"), pa.timestamp("s"), safe=False).cast(pa.int64()).to_pylist()
    find, base = money.current().find, money.base
    rates = np.ones(table.num_rows)
    for row, (currency, second) in enumerate(zip(currencies, seconds, strict=True)):
        if currency == base:
            continue
        if 0 < stated[row] <= MAX_RATE:
            rates[row] = stated[row]
        elif currency:
            found = find(currency, base, day_of(second)) if second is not None else None
            rates[row] = found.value if found else np.nan
    return rates


def fill_in_base(table: pa.Table, money: Money, fill: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Return a table that `fill` completed, given its amounts in the base currency; values of the table stay."""
    rates = rates_of(table, money)
    return fill(table) if rates is None else restore_currency(fill(table_in_base(table, money)), table, rates)


def restore_currency(filled: pa.Table, table: pa.Table, rates: Numbers) -> pa.Table:
    """Return a table with what was filled in, averages of amounts in the currency of each row.

    `filled` has the amounts of `table` in the base currency. Without a rate, an average that was filled in is unknown.
    """
    for name in filled.column_names:
        column = filled.column(name)
        if name == _AVERAGE:
            own = table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows
            column = pa.array(map(_restore, own, column.to_pylist(), rates.tolist()), pa.float64())
        if name not in table.column_names:
            table = table.append_column(name, column)
        elif name not in ("order_amount", "currency"):
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _restore(own: float | None, filled: float | None, rate: float) -> float | None:
    if own is not None or filled is None:
        return own
    return None if np.isnan(rate) else convert_back(filled, rate)


def _currencies(column: pa.ChunkedArray) -> list[str]:
    normalise = NORMALISED["currency"]
    coded = column.combine_chunks().dictionary_encode()
    texts = [normalise(str(text)) for text in coded.dictionary.to_pylist()]
    return [texts[code] if code is not None else "" for code in coded.indices.to_pylist()]


def _floats(column: Any) -> Numbers:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
