"""Amounts of tables in the base currency, with the same results as `money` for single orders, to the bit."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from contract.texts import NORMALISED
from enrichment.money import AMOUNTS, MAX_AMOUNT, MAX_RATE, UNIT, Money, convert_back

Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]
DAY = 86_400
_MAX_TABLE = 1_000_000
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
    if "currency" in table.column_names:
        place, kind = table.column_names.index("currency"), table.schema.field("currency").type
        table = table.set_column(place, "currency", pa.repeat(pa.scalar(money.base), table.num_rows).cast(kind))
    return table.drop_columns(["exchange_rate"]) if "exchange_rate" in table.column_names else table


def unknown_currencies(table: pa.Table, money: Money) -> dict[str, int]:
    """Return the currencies of amounts without a rate, with their number of rows."""
    rates = rates_of(table, money)
    if rates is None or "order_amount" not in table.column_names:
        return {}
    unknown = np.isnan(rates) & ~np.isnan(_floats(table.column("order_amount")))
    codes, currencies = _currencies(table.column("currency"))
    return dict(Counter(currencies[code] for code in codes[unknown].tolist()))


def rates_of(table: pa.Table, money: Money) -> Numbers | None:
    """Return the rate of each row, NaN where it is unknown; None if all amounts are in the base currency."""
    names, rows = table.column_names, table.num_rows
    codes, currencies = _currencies(table.column("currency")) if "currency" in names else (np.zeros(rows, int), [""])
    stated = _floats(table.column("exchange_rate")) if "exchange_rate" in names else None
    is_stated = None if stated is None else (stated > 0) & (stated <= MAX_RATE)
    if set(currencies) <= {"", money.base} and (is_stated is None or not is_stated.any()):
        return None
    seconds = pc.cast(table.column("timestamp"), pa.timestamp("s"), safe=False).cast(pa.int64())
    days = np.asarray(pc.fill_null(seconds, -1)) // DAY
    rates = find_rates(codes, currencies, days, money)
    if stated is not None and is_stated is not None:
        rates = np.where(is_stated & (codes != _place(currencies, money.base)), stated, rates)
    return rates


def find_rates(codes: Ints, currencies: Sequence[str], days: Ints, money: Money) -> Numbers:
    """Return rates by number of the currency and by day, in days since 1970, shape (rows,); NaN for unknown ones.

    The empty currency is the base currency.
    """
    if not len(days):
        return np.ones(0)
    find, first = money.current().find, int(days.min())
    span = int(days.max()) - first + 1
    if len(currencies) * span > _MAX_TABLE:  # a file with times that are centuries apart
        pairs, where = np.unique(codes * span + days - first, return_inverse=True)
    else:
        pairs, where = np.arange(0), codes * span + days - first
        used = np.zeros(len(currencies) * span, bool)
        used[where] = True
        pairs = np.flatnonzero(used)
        where = np.cumsum(used)[where] - 1
    found = np.full(len(pairs), np.nan)
    for place, pair in enumerate(pairs.tolist()):
        currency = currencies[pair // span]
        if currency in ("", money.base):
            found[place] = 1.0
        elif rate := find(currency, money.base, first + pair % span):
            found[place] = rate.value
    return found[where]


def _place(currencies: Sequence[str], currency: str) -> int:
    return list(currencies).index(currency) if currency in currencies else -1


def fill_in_base(table: pa.Table, money: Money, fill: Callable[[pa.Table], pa.Table]) -> pa.Table:
    """Return a table that `fill` completed, given its amounts in the base currency; values of the table stay."""
    rates = rates_of(table, money)
    return fill(table) if rates is None else restore_currency(fill(table_in_base(table, money)), table, rates)


def restore_currency(completed: pa.Table, table: pa.Table, rates: Numbers) -> pa.Table:
    """Return a table with what was filled in, averages of amounts in the currency of each row.

    `completed` has the amounts of `table` in the base currency. Without a rate, an average that was filled in is unknown.
    """
    for name in completed.column_names:
        column = completed.column(name)
        if name == _AVERAGE:
            own = table.column(name).to_pylist() if name in table.column_names else [None] * table.num_rows
            column = pa.array(map(_restore, own, column.to_pylist(), rates.tolist()), pa.float64())
        if name not in table.column_names:
            table = table.append_column(name, column)
        elif name not in ("order_amount", "currency"):
            table = table.set_column(table.column_names.index(name), name, column)
    return table


def _restore(own: float | None, completed: float | None, rate: float) -> float | None:
    if own is not None or completed is None:
        return own
    return None if np.isnan(rate) else convert_back(completed, rate)


def _currencies(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """Return the number of each row's currency, and the normalised currencies, the empty one first."""
    array = column.combine_chunks()
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    normalise, known = NORMALISED["currency"], {"": 0}
    numbers = [known.setdefault(normalise(str(text or "")), len(known)) for text in coded.dictionary.to_pylist()]
    codes = np.asarray(pc.fill_null(coded.indices, -1), np.int64)
    return np.array([*numbers, 0], np.int64)[codes], list(known)


def _floats(column: Any) -> Numbers:
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
