"""Files from the field give what is right, or a question that says how it is answered."""

import pytest

from contract.tables import TableError
from tests.reading.files import BASE, CASES, Read, abuse_in, times_of

STRIPE = """columns:
  transaction_id: id
  timestamp: Created (UTC)
  user_id: {from: Customer ID, fallback: Customer Email}
  order_amount: Amount
  currency: Currency
label: {from: Dispute Reason, abuse: fraudulent}
"""
PAYPAL = """columns:
  transaction_id: Transaction ID
  timestamp: {from: [Date, Time], timezone: {from: TimeZone}}
  user_id: From Email Address
  order_amount: Gross
where: {Type: {not: Payment Refund}}
label: {rows: {Type: Chargeback}, refers: Reference Txn ID}
"""
SHOPIFY = "columns: {transaction_id: Name, timestamp: Created at, user_id: Email, order_amount: Total}\n"
EXCEL = """columns: {transaction_id: Bestellnr, timestamp: Datum, user_id: Kunde, order_amount: Betrag}
label: {from: Betrug, abuse: ja}
"""
ADYEN = """columns:
  transaction_id: Psp Reference
  timestamp: {from: Creation Date, timezone: ZONE}
  user_id: Shopper Reference
  order_amount: Amount
label: {from: Fraud, abuse: 1}
"""


def test_day_and_month_are_read_alike_in_all_rows(read: Read) -> None:
    """Case 05: dates that only day first can read are read so in all rows, in the order of the file."""
    table, report = read(CASES / "05/orders.csv", BASE)
    assert times_of(table) == ["2026-03-01 10:00:00", "2026-03-01 23:00:00", "2026-03-02 12:00:00"]
    assert table.column("timestamp").to_pylist() == sorted(table.column("timestamp").to_pylist())
    assert "order_date: times are read as day/month/year" in report


def test_zones_after_gmt_are_ahead_of_utc(read: Read) -> None:
    """Case 07: 10:00 GMT+0100, as JavaScript writes it, is 09:00 in UTC."""
    table, _ = read(CASES / "07/orders.csv", BASE)
    assert times_of(table) == ["2026-03-01 09:00:00", "2026-03-01 22:00:00", "2026-03-02 11:00:00"]


def test_whole_amounts_with_points_are_a_question(read: Read) -> None:
    """Case 08: 1.072 without cents anywhere may be either; the answer reads all rows."""
    with pytest.raises(TableError) as caught:
        read(CASES / "08/orders.csv", BASE)
    for words in (
        '\'1.072 €\' may be 1072 (decimal: ",") or 1.072 (decimal: ".")',
        "set order_amount: {from: amount, decimal",
    ):
        assert words in str(caught.value)
    for answer in (BASE.replace(": amount", ': {from: amount, decimal: ","}'), BASE + 'dialect: {decimal: ","}\n'):
        table, _ = read(CASES / "08/orders.csv", answer)
        assert table.column("order_amount").to_pylist()[:7] == [250, 387, 524, 661, 798, 935, 1072]


def test_signs_of_currencies_are_read(read: Read) -> None:
    """Case 09: US$12.50 is 12.5."""
    table, report = read(CASES / "09/orders.csv", BASE + 'label: {from: fraud, abuse: "1"}\n')
    assert table.column("order_amount").to_pylist()[:3] == [10.5, 11.5, 12.5] and "order_amount" not in report


def test_only_abuse_is_marked(read: Read) -> None:
    """Case 13: an empty label asks what it means, and can mean honest; guests are known by their mail."""
    with pytest.raises(TableError, match=r"54 values are empty, first in row 2; .* set empty: honest"):
        read(CASES / "13/payments.csv", STRIPE)
    table, _ = read(CASES / "13/payments.csv", STRIPE.replace("fraudulent}", "fraudulent, empty: honest}"))
    assert (table.num_rows, abuse_in(table)) == (60, 6)
    assert table.column("user_id").to_pylist()[:3] == ["p0@example.org", "cus_1", "cus_2"]


def test_a_guest_without_a_fallback_names_it(read: Read) -> None:
    """Case 13: without a second column for guests the error says how to name one."""
    mapping = STRIPE.replace("{from: Customer ID, fallback: Customer Email}", "Customer ID")
    with pytest.raises(
        TableError, match=r"like an empty one in row 1; .*user_id: {from: Customer ID, fallback: other}"
    ):
        read(CASES / "13/payments.csv", mapping)


def test_rows_label_other_rows(read: Read) -> None:
    """Case 14: date and time are joined in their zone; refunds are no orders, chargebacks label the order they refer to."""
    table, report = read(CASES / "14/activity.csv", PAYPAL)
    assert (table.num_rows, abuse_in(table)) == (60, 6)
    assert times_of(table) == ["2026-03-01 07:15:00", "2026-03-02 08:15:00", "2026-03-03 09:15:00"]
    assert table.column("order_amount").to_pylist()[:3] == [20.5, 21.5, 22.5]
    assert "where: 11 of 71 rows are no orders and left out" in report
    assert "Gross: read with a decimal comma" in report


def test_several_lines_are_one_order(read: Read) -> None:
    """Case 16: a repeated id names the entry for several lines; with it each order is read once, from its first line."""
    with pytest.raises(TableError, match=r"id '#1001' appears twice, .* set lines: first"):
        read(CASES / "16/orders.csv", SHOPIFY)
    table, report = read(
        CASES / "16/orders.csv", SHOPIFY + "lines: first\nlabel: {from: Tags, abuse: chargeback, empty: honest}\n"
    )
    assert (table.num_rows, abuse_in(table)) == (40, 4)
    assert table.column("order_amount").to_pylist()[:4] == [20, 21, 22, 23]
    assert "lines: 39 of 79 rows are further rows of an order" in report


def test_files_of_spreadsheets_in_europe_are_read(read: Read) -> None:
    """Case 18: semicolons, Windows-1252 and decimal commas are found and stated."""
    table, report = read(CASES / "18/orders.csv", EXCEL)
    assert table.column("user_id").to_pylist()[:2] == ["Müller 0", "Müller 1"]
    assert table.column("order_amount").to_pylist()[:2] == [20.5, 21.5]
    assert (table.num_rows, abuse_in(table)) == (40, 4)
    assert "separator ';'; encoding windows-1252, as in 'Müller 0'" in report


@pytest.mark.parametrize("zone", ["Europe/Berlin", "{from: TimeZone}", '"+01:00"'])
def test_local_times_have_a_zone(zone: str, read: Read) -> None:
    """Case 20: a zone by name, by offset or from a column is applied; without one the report says what was assumed."""
    table, report = read(CASES / "20/payments.csv", ADYEN.replace("ZONE", zone))
    assert times_of(table, 1) == ["2026-03-01 09:00:00"] and "read as UTC" not in report
    assert table.column("transaction_id")[0].as_py() == "8815300000000000"
    table, report = read(CASES / "20/payments.csv", ADYEN.replace(", timezone: ZONE", ""))
    assert times_of(table, 1) == ["2026-03-01 10:00:00"]
    assert "Creation Date: read as UTC where a value has no time zone; if it is local time, set timezone" in report


def test_some_times_have_fractions(read: Read) -> None:
    """Case 22: ISO times are read with and without fractions in one column."""
    table, _ = read(CASES / "22/orders.csv", BASE)
    assert times_of(table) == ["2026-03-01 10:00:00", "2026-03-01 23:00:00", "2026-03-02 12:00:00"]
