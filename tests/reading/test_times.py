"""Times of a column: one reading for all values, or a question."""

import datetime as dt
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from contract.tables import TableError
from tests.reading.files import Read, times_of

HEAD = "when,user\n"
MAPPING = "columns: {timestamp: when, user_id: user}\n"


def write(folder: Path, *times: str) -> Path:
    """Write a file with these times."""
    path = folder / "orders.csv"
    path.write_text(HEAD + "".join(f'"{time}",u\n' for time in times))
    return path


@pytest.mark.parametrize(
    ("times", "first"),
    [
        (["13/03/2026 10:00", "01/03/2026 10:00"], "2026-03-13 10:00:00"),
        (["03/13/26 10:00 PM", "03/01/26 12:05 AM"], "2026-03-13 22:00:00"),
        (["03.04.2026 10:00"], "2026-04-03 10:00:00"),
        (["13-3-2026"], "2026-03-13 00:00:00"),
        (["05/05/2026"], "2026-05-05 00:00:00"),
        (["2026/03/01 10:00:00.5", "2026/03/01 10:00"], "2026-03-01 10:00:00"),
        (["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.25+02:00"], "2026-03-01 10:00:00"),
        (["2026-03-01 10:00:00 +0100"], "2026-03-01 09:00:00"),
        (["2026-03-01 10:00:00 UTC"], "2026-03-01 10:00:00"),
        (["2026-03-01 10:00:00 GMT-5"], "2026-03-01 15:00:00"),
        (["2026-07-01 10:00:00 Europe/Berlin"], "2026-07-01 08:00:00"),
        (["Sun Mar 01 2026 10:00:00 GMT+0100 (Central European Standard Time)"], "2026-03-01 09:00:00"),
        (["Sun, 01 Mar 2026 10:00:00 +0100"], "2026-03-01 09:00:00"),
        (["Sun Mar  1 10:00:00 2026"], "2026-03-01 10:00:00"),
        (["Mon Jul 06 10:00:00 CEST 2026"], "2026-07-06 08:00:00"),
        (["Mar 1, 2026 10:00:00 AM PST"], "2026-03-01 18:00:00"),
        (["10:00:00 Mar 01, 2026 PST"], "2026-03-01 18:00:00"),
        (["1. März 2026 10:00 Uhr"], "2026-03-01 10:00:00"),
        (["1 mars 2026 10:00:00 UTC"], "2026-03-01 10:00:00"),
        (["1 de marzo de 2026"], "2026-03-01 00:00:00"),
        (["01-MAR-26 10.00.00.000000 AM"], "2026-03-01 10:00:00"),
        (["20260301", "20260302"], "2026-03-01 00:00:00"),
        (["20260301T101500Z"], "2026-03-01 10:15:00"),
    ],
)  # fmt: skip
def test_times_are_read_as_they_are_written(times: list[str], first: str, tmp_path: Path, read: Read) -> None:
    """Usual ways to write times, with zones, fractions, names of months and halves of days."""
    table, _ = read(write(tmp_path, *times), MAPPING)
    assert times_of(table, 1) == [first]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        (["03/04/26 10:00"], "may be 3 April 2026 (format: dmy) or 4 March 2026 (format: mdy)"),
        (["03-04-2026", "05-04-2026"], "set timestamp: {from: when, format: dmy}"),
        (["13/04/2026", "04/13/2026"], "'13/04/2026' has the day first and '04/13/2026' the month"),
        (["26/03/01", "26/03/02"], "or 1 March 2026 (format: ymd)"),
        (["10:00:00", "11:30"], "has times of day without a date, like '10:00:00'; join both"),
        (["1772359200"], "as in unit: s (2026-03-01 10:00:00)"),
        (["1772359200000"], "as in unit: ms (2026-03-01 10:00:00)"),
        (["46082.5"], "as in format: excel (2026-03-01 12:00:00)"),
        (["8815300000000000"], "contains numbers, like 8815300000000000; set their unit and origin"),
        (["2026-03-01T10:00:00Z", "2026-03-01T10:00:00"], "1 values have a time zone and 1 have none"),
        (["2026-03-01 10:00 IST"], "1 values are not a valid timestamp, like '2026-03-01 10:00 IST'"),
        (["2026-02-30"], "'2026-02-30'"),
        (["25:00:00 soon"], "is no time that is known; set its format"),
        (["2026-03-01 10:00", "01.03.2026 10:00"], "1 values are not a valid timestamp"),
    ],
)
def test_what_is_not_clear_is_asked(times: list[str], words: str, tmp_path: Path, read: Read) -> None:
    """Two readings, times without a date, numbers and mixed formats are questions; each says how it is answered."""
    with pytest.raises(TableError) as caught:
        read(write(tmp_path, *times), MAPPING)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("time", "options", "wanted"),
    [
        ("03/04/26 10:00", "format: dmy", "2026-04-03 10:00:00"),
        ("03/04/26 10:00", "format: mdy", "2026-03-04 10:00:00"),
        ("26/03/04 10:00", "format: ymd", "2026-03-04 10:00:00"),
        ("2026-03-01T10:00:00", "format: iso, timezone: America/New_York", "2026-03-01 15:00:00"),
        ("46082.4166666667", "format: excel", "2026-03-01 10:00:00"),
        ("46082.4166666667", "format: excel, timezone: Europe/Berlin", "2026-03-01 09:00:00"),
        ("1772359200", "unit: s", "2026-03-01 10:00:00"),
        ("24", "unit: h, since: 2026-03-01", "2026-03-02 00:00:00"),
        ("01|03|2026", 'format: "%d|%m|%Y", timezone: Asia/Tokyo', "2026-02-28 15:00:00"),
        ("2026-03-01 10:00 IST", "timezone: Asia/Kolkata", "2026-03-01 04:30:00"),
        ("2026-03-01 10:00 +0000", "timezone: Asia/Kolkata", "2026-03-01 10:00:00"),
        ("2026-10-25 02:30", "timezone: Europe/Berlin", "2026-10-25 00:30:00"),
        ("2026-03-29 02:30", "timezone: Europe/Berlin", "2026-03-29 01:00:00"),
    ],
)
def test_answers_decide(time: str, options: str, wanted: str, tmp_path: Path, read: Read) -> None:
    """The entries of the mapping that answer a question: the order, Excel's days, units, formats and zones."""
    table, report = read(write(tmp_path, time), MAPPING.replace(": when", f": {{from: when, {options}}}"))
    assert times_of(table, 1) == [wanted]
    assert ("occur twice or never" in report) == ("02:30" in time)


def test_columns_of_parquet_keep_their_times(tmp_path: Path, read: Read) -> None:
    """Typed times are in UTC or local; a typed date and time are joined, and years as numbers stay dates."""
    local = dt.datetime(2026, 7, 1, 10)
    frame = pd.DataFrame(
        {"when": [local], "day": [local.date()], "clock": [local.time()], "number": [20260701], "user": ["u"]}
    )
    frame.to_parquet(tmp_path / "o.parquet")
    zone = "timezone: Europe/Berlin"
    for source, wanted in (
        ("when", "2026-07-01 10:00:00"),
        (f"{{from: when, {zone}}}", "2026-07-01 08:00:00"),
        (f"{{from: [day, clock], {zone}}}", "2026-07-01 08:00:00"),
        ("number", "2026-07-01 00:00:00"),
    ):
        table, _ = read(tmp_path / "o.parquet", f"columns: {{timestamp: {source}, user_id: user}}\n")
        assert times_of(table, 1) == [wanted], source


def test_a_zone_for_all_columns(tmp_path: Path, read: Read) -> None:
    """One zone for the file applies to each of its times; a row whose zone is unknown is named."""
    path = tmp_path / "orders.csv"
    path.write_text(
        "when,opened,zone,user\n2026-03-01 10:00,2026-03-01 09:00,CET,u\n2026-07-01 10:00,2026-06-30,Moon,u\n"
    )
    columns = "columns: {timestamp: when, account_created_date: opened, user_id: user}\n"
    table, _ = read(path, columns + "timezone: Europe/Berlin\n")
    assert times_of(table) == ["2026-03-01 09:00:00", "2026-07-01 08:00:00"]
    assert str(table["account_created_date"][1]) == "2026-06-29 22:00:00"
    with pytest.raises(TableError, match=r"1 values are not a valid timestamp, like '2026-07-01 10:00' in row 2"):
        read(path, columns + "timezone: {from: zone}\n")


def test_winter_times_in_summer_are_stated(tmp_path: Path, read: Read) -> None:
    """CET in July is read as it is written, one hour ahead of UTC, and the report doubts it."""
    table, report = read(
        write(tmp_path, "2026-07-01 10:00 CET", "2026-01-01 10:00 CET", "2026-07-01 10:00 CEST"), MAPPING
    )
    assert times_of(table) == ["2026-07-01 09:00:00", "2026-01-01 09:00:00", "2026-07-01 08:00:00"]
    assert "when: 1 of 3 are in summer, but their zone is that of winter; if they are local times" in report


def test_decisions_span_the_whole_file(tmp_path: Path, read: Read) -> None:
    """A value far below decides how the first rows are read."""
    rows = ["03/04/2026"] * 70_000 + ["13/04/2026"]
    pa_csv.write_csv(pa.table({"when": rows, "user": ["u"] * len(rows)}), tmp_path / "orders.csv")
    table, _ = read(tmp_path / "orders.csv", MAPPING)
    assert times_of(table, 1) == ["2026-04-03 00:00:00"]
