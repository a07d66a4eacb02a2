"""Values in the base currency: the same for a message and a table to the bit, and the same in all currencies."""

import datetime as dt
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.messages import messages
from contract.schema import TYPES
from data_gen.output.amounts import _BY_COUNTRY
from data_gen.output.plan import END
from enrichment.minor_units import DECIMALS
from enrichment.money import MAX_AMOUNT, convert, order_in_base
from enrichment.money_tables import convert_column, fill_in_base, table_in_base, unknown_currencies
from enrichment.rate_files import packaged_rates, read_money
from runtime.errors import InvalidRequest
from runtime.validation.checks import check
from testing.inputs.orders import message

MONEY = read_money()
AT = dt.datetime(2023, 3, 15, 12, 0)
DAY = (AT.date() - dt.date(1970, 1, 1)).days
THIRTY = (
    *(
        "USD",
        "EUR",
        "GBP",
        "CHF",
        "CAD",
        "AUD",
        "NZD",
        "SEK",
        "NOK",
        "DKK",
        "PLN",
        "CZK",
        "BRL",
        "MXN",
        "INR",
        "CNY",
        "ZAR",
    ),
    *("SGD", "HKD", "AED", "SAR", "JPY", "KRW", "ISK", "VND", "CLP", "XOF", "KWD", "BHD", "OMR", "JOD", "TND", "IQD"),
)
"""Currencies of 2, 0 and 3 decimals."""


@given(st.floats(0, 2e9) | st.sampled_from([math.nan, -1.0, math.inf]), st.floats(1e-9, 1e9))
@settings(max_examples=300)
def test_a_column_and_a_number_convert_alike(amount: float, rate: float) -> None:
    """Both give the same bits; what the contract rejects stays as it is; nothing valid leaves the contract's limits."""
    one = convert(amount, rate)
    many = convert_column(np.array([amount]), np.array([rate]))
    assert np.array([one]).tobytes() == many.tobytes()
    assert not 0 < amount <= MAX_AMOUNT or 0 < one <= MAX_AMOUNT


@pytest.mark.parametrize("cents", [1, 3999, 4001, 29_999, 1_234_567])
def test_thirty_currencies_have_one_value(cents: int) -> None:
    """The same value sent in 33 currencies, of 0, 2 and 3 decimals, is one number; in minor units it is near."""
    assert {DECIMALS.get(currency, 2) for currency in THIRTY} == {0, 2, 3}
    for currency in THIRTY:
        rate = packaged_rates().find(currency, "USD", DAY)
        assert rate, currency
        assert convert(cents / 100 / rate.value, rate.value) == cents / 100
        decimals = DECIMALS.get(currency, 2)
        sent = round(cents / 100 / rate.value, decimals)
        assert abs(convert(sent, rate.value) - cents / 100) <= 0.51 * 10**-decimals * rate.value


def rows(*orders: dict[str, object]) -> pa.Table:
    """Return orders as a table, as it is read from a file."""
    names = ("order_amount", "avg_order_value", "currency", "exchange_rate")
    plain = [dict.fromkeys(names) | {"transaction_id": str(n), "user_id": "u", "timestamp": AT} | order
             for n, order in enumerate(orders)]  # fmt: skip
    return pa.Table.from_pylist(plain, pa.schema([(name, TYPES[name]) for name in plain[0]]))


TABLE = rows(
    {"order_amount": 40.0, "avg_order_value": 30.0},
    {"order_amount": 40.0, "avg_order_value": 30.0, "currency": "USD", "exchange_rate": 9.0},
    {"order_amount": 5000.0, "avg_order_value": 0.0, "currency": "JPY"},
    {"order_amount": 5000.0, "currency": "JPY", "exchange_rate": 0.25},
    {"order_amount": 40.0, "exchange_rate": 0.5},
    {"order_amount": 40.0, "avg_order_value": 30.0, "currency": "XYZ"},
    {"avg_order_value": 12.5, "currency": "KWD"},
    {"order_amount": 40.0, "avg_order_value": 1.0, "currency": "XYZ", "exchange_rate": 2.0},
)


def test_tables_and_messages_have_the_same_values() -> None:
    """Without a currency, in the base currency, by rate of the day, by own rate, and unknown."""
    table = table_in_base(TABLE, MONEY)
    for row, order in zip(table.to_pylist(), map(MONEY.to_base, messages(TABLE)), strict=True):
        for name in ("order_amount", "avg_order_value"):
            assert row[name] == (getattr(order, name) if order.HasField(name) else None)
    rate = packaged_rates().find("JPY", "USD", DAY)
    assert rate
    assert table.column("order_amount").to_pylist() == [
        40.0, 40.0, convert(5000.0, rate.value), 1250.0, 20.0, None, None, 80.0,
    ]  # fmt: skip
    assert unknown_currencies(TABLE, MONEY) == {"XYZ": 1}


def test_a_table_in_the_base_currency_is_not_touched() -> None:
    """It is returned as it is."""
    plain = rows({"order_amount": 1.5}, {"order_amount": 2.0, "currency": "USD"})
    assert table_in_base(plain, MONEY) is plain


def test_what_history_fills_in_is_in_the_currency_of_the_row() -> None:
    """An average that is completed in is divided by the row's rate; known values and other columns stay."""

    def fill(table: pa.Table) -> pa.Table:
        own = table.column("avg_order_value").to_pylist()
        average = pa.array([10.0 if value is None else value for value in own])
        return table.set_column(table.column_names.index("avg_order_value"), "avg_order_value", average)

    completed = fill_in_base(TABLE, MONEY, fill)
    assert completed.drop_columns(["avg_order_value"]) == TABLE.drop_columns(["avg_order_value"])
    assert completed.column("avg_order_value").to_pylist() == [30.0, 30.0, 0.0, 40.0, 20.0, 30.0, 12.5, 1.0]


@pytest.mark.parametrize("fields", [
    {"currency": "euro"}, {"currency": "eur"}, {"currency": "JPY", "order_amount": -1.0},
    {"currency": "XYZ", "order_amount": -1.0},
    {"currency": "XYZ", "order_amount": math.nan}, {"currency": "JPY", "order_amount": math.inf},
    {"currency": "JPY", "order_amount": 2e9}, {"currency": "JPY", "exchange_rate": 0.0}, {"exchange_rate": -1.0},
    {"exchange_rate": math.nan}, {"exchange_rate": math.inf}, {"currency": "JPY", "exchange_rate": 2e9},
])  # fmt: skip
def test_an_invalid_order_is_rejected_in_any_currency(fields: dict[str, object]) -> None:
    """Conversion never makes an invalid amount, currency or rate valid."""
    with pytest.raises(InvalidRequest):
        check(MONEY.to_base(message(**fields)))


def test_the_amounts_of_an_order_without_a_rate_are_absent() -> None:
    """They are unknown, never 1:1, and nothing else changes."""
    order = message(currency="XYZ", order_amount=40.0, avg_order_value=3.0)
    unknown = MONEY.to_base(order)
    assert not unknown.HasField("order_amount")
    assert not unknown.HasField("avg_order_value")
    assert unknown == order_in_base(order, "USD", None)
    order.ClearField("order_amount")
    order.ClearField("avg_order_value")
    order.currency = "USD"
    assert unknown == order


def test_currencies_of_the_generator_have_rates() -> None:
    """Every currency that generated files contain has a rate on every day of them."""
    last = (END.date() - dt.date(1970, 1, 1)).days
    for currency in set(_BY_COUNTRY):
        assert all(packaged_rates().find(currency, "USD", day) for day in range(last - 800, last + 1)), currency
