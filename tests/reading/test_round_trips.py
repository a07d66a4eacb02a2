"""Files in random dialects, zones and notations give the orders that were written, or are refused with the cause."""

import csv
import datetime as dt
import io
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contract.tables import TableError
from ml_server.data.datasets import read_mapped
from ml_server.data.mapping import Report, read_mapping

Order = tuple[dt.datetime, int, str]
ORDERS = st.lists(
    st.tuples(
        st.datetimes(dt.datetime(2001, 1, 1), dt.datetime(2039, 12, 30)).map(lambda time: time.replace(microsecond=0)),
        st.integers(0, 10**8),
        st.sampled_from(["Müller", "Zoë", "O'Neill", 'say "hi"', "a;b", "a,b", "x|y", "line\nbreak", "Łódź"]),
    ),
    min_size=1,
    max_size=12,
)
FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%d.%m.%y %H:%M:%S",
    "%d %b %Y %H:%M:%S", "%b %d, %Y %H:%M:%S %z", "%a %b %d %Y %H:%M:%S GMT%z (local)", "%d-%m-%Y %H:%M:%S", "%Y%m%d%H%M%S",
    "%s", "%H:%M:%S",
)  # fmt: skip
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
MAPPING = """columns:
  transaction_id: id
  timestamp: {{from: when, timezone: {zone}}}
  user_id: user
  order_amount: {{from: amount{decimal}}}
nulls: [nothing]
"""
QUESTIONS = (
    "may be", "has the day first", "contains numbers", "has times of day", "has no one reading", "may be separated by",
)  # fmt: skip


def amount_text(cents: int, decimal: str, grouped: bool, cents_shown: bool, sign: str) -> str:
    """Return an amount with a decimal sign, with or without groups of thousands and cents."""
    text = f"{cents // 100:,}" if grouped else str(cents // 100)
    text = text.replace(",", "." if decimal == "," else ",")
    return (text + f"{decimal}{cents % 100:02}" if cents_shown else text) + sign


@settings(max_examples=60, deadline=None)
@given(
    orders=ORDERS, layout=st.sampled_from(FORMATS), zone=st.sampled_from(ZONES), decimal=st.sampled_from([".", ","]),
    separator=st.sampled_from([",", ";", "\t", "|"]), encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    grouped=st.booleans(), cents_shown=st.booleans(), sign=st.sampled_from(["", " €", " EUR"]), title=st.booleans(),
    newline=st.sampled_from(["\n", "\r\n"]), say_decimal=st.booleans(),
)  # fmt: skip
@example(
    orders=[(dt.datetime(2026, 3, 4), 123456, "Zoë")], layout="%d/%m/%Y %H:%M:%S", zone="UTC", separator=";", encoding="cp1252",
    decimal=",", grouped=True, cents_shown=False, sign=" €", title=True, newline="\r\n", say_decimal=False,
)  # fmt: skip
def test_orders_come_back_or_a_question(
    orders: list[Order], layout: str, zone: str, separator: str, encoding: str, decimal: str, grouped: bool, cents_shown: bool,
    sign: str, title: bool, newline: str, say_decimal: bool,
) -> None:  # fmt: skip
    """Never another order than the one that was written."""
    orders = [(time, cents if cents_shown else cents // 100 * 100, user) for time, cents, user in orders]
    if encoding == "cp1252":
        orders = [(time, cents, user.replace("Łódź", "Lodz")) for time, cents, user in orders]
    target = io.StringIO()
    writer = csv.writer(target, delimiter=separator, lineterminator=newline)
    if title:
        target.write(f"Orders of our shop{newline}{newline}")
    writer.writerow(["id", "when", "user", "amount"])
    for number, (time, cents, user) in enumerate(orders):
        local = time.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
        text = str(int(local.timestamp())) if layout == "%s" else local.strftime(layout)
        writer.writerow([f"o{number}", text, user, amount_text(cents, decimal, grouped, cents_shown, sign)])
    with tempfile.TemporaryDirectory() as folder:
        path, entries = Path(folder) / "orders.csv", Path(folder) / "m.yaml"
        path.write_bytes(target.getvalue().encode(encoding))
        entries.write_text(MAPPING.format(zone=zone, decimal=f', decimal: "{decimal}"' if say_decimal else ""))
        problem = ""
        try:
            table = pa.concat_tables(read_mapped(path, read_mapping(entries), Report()))
        except TableError as error:
            problem = str(error)
    if problem:
        assert any(question in problem for question in QUESTIONS), problem
        return
    assert table.column("order_amount").to_pylist() == [cents / 100 for _, cents, _ in orders]
    assert [user.replace("\r\n", "\n") for user in table.column("user_id").to_pylist()] == [
        user for _, _, user in orders
    ]
    for read, (time, _, _) in zip(table.column("timestamp").to_pylist(), orders, strict=True):
        assert read == time or _is_ambiguous(time, zone, layout), (read, time)


def _is_ambiguous(time: dt.datetime, zone: str, layout: str) -> bool:
    """Return whether the local time occurs twice, as clocks are set back: the text does not say which it is."""
    if "%z" in layout:
        return False
    local = time.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
