"""Files with other columns, read through a mapping."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from contract.tables import TableError
from ml_server.data.mapping import Conversion, MappingError, Report, apply, read_mapping
from ml_server.data.values import numbers
from testing.inputs.foreign import FOREIGN, MAPPING
from testing.servers.processes import call


def mapped(tmp_path: Path, mapping: str = MAPPING, data: str = FOREIGN) -> tuple[pa.Table, Report]:
    """Return the foreign data, read through a mapping."""
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "d.csv").write_text(data)
    report = Report()
    return apply(read_mapping(tmp_path / "m.yaml"), pd.read_csv(tmp_path / "d.csv", dtype="string"), report), report


def test_foreign_columns_become_fields(tmp_path: Path) -> None:
    """Names, units, dates, values and labels are mapped; unreadable values are unknown, and counted by column."""
    table, report = mapped(tmp_path)
    rows = table.to_pydict()
    assert rows["order_amount"] == [12.5, 999.0, None]
    assert rows["device_type"] == ["desktop", "mobile", None]
    assert str(rows["timestamp"][0]) == "2025-02-13 10:00:00"
    assert rows["is_abuse"] == [False, True, False]
    assert rows["email_verified"] == [True, False, None]
    assert rows["v1"] == [0.5, 1.5, None]
    report_text = "\n".join(report.lines)
    for words in (
        "cents: 1 of 3",
        "dev: 1 of 3",
        "card_ok: 1 of 3",
        "v1: 1 of 3",
        "user_id: 3 of 3",
        "currency: has the name",
    ):
        assert words in report_text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("columns:", "colums:"), "the entry `columns` is missing"),
        (("order_amount:", "order_sum:"), "order_sum is not a field"),
        (("scale: 0.01", "factor: 2"), "order_amount.factor: unknown entry"),
        (("timestamp:", "account_created_date:"), "timestamp must be mapped"),
        (("numeric: [v1]", "numeric: [user_agent]"), "extra column user_agent has the name of a field"),
        (("columns:", "{"), "m.yaml"),
    ],
)
def test_wrong_mappings_are_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """An invalid mapping is an error that names the entry."""
    with pytest.raises(MappingError) as caught:
        mapped(tmp_path, MAPPING.replace(*change, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("order,placed", "id,placed"), "column order is missing"),
        (("13/02/2025 10:00", "soon"), "column placed: 1 values are not a valid timestamp"),
        (("N,0.5", "Q,0.5"), "has 3 values instead of two"),
        (("N,0.5", ",0.5"), "1 values are empty"),
    ],
)
def test_unusable_foreign_data_is_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """Data that the mapping does not fit is an error with the column and the count."""
    with pytest.raises(TableError) as caught:
        mapped(tmp_path, data=FOREIGN.replace(*change, 1))
    assert words in str(caught.value)


def test_foreign_data_trains_and_scores(table: pa.Table, tmp_path: Path) -> None:
    """A foreign file with an informative extra column trains by its mapping, uses the column, and is scored by it."""
    frame = table.slice(0, 1000).to_pandas()
    rng = np.random.default_rng(0)
    foreign = pd.DataFrame(
        {
            "when": (frame.timestamp - pd.Timestamp("2024-12-01")).dt.total_seconds(),
            "amount": frame.order_amount,
            "secret": frame.is_abuse * 1.0 + rng.normal(0, 0.7, len(frame)),
            "bad": frame.is_abuse.map({True: "yes", False: "no"}),
        }
    )
    foreign.to_csv(tmp_path / "foreign.csv", index=False)
    (tmp_path / "m.yaml").write_text(
        "columns:\n  timestamp: {from: when, unit: s, since: 2024-12-01}\n  order_amount: amount\n"
        'label: {from: bad, abuse: "yes"}\nextra: {numeric: [secret]}\n'
    )
    common = ["--mapping", str(tmp_path / "m.yaml"), "--models-dir", str(tmp_path / "models")]
    done = call("train", "--dataset", str(tmp_path / "foreign.csv"), *common, "--form", "tables", "--rounds", "10")
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "models/current/metadata.json").read_text())
    assert metadata["classes"] == ["legitimate", "abuse"]
    assert max(metadata["importance"], key=metadata["importance"].get) == "secret"
    done = call("score", str(tmp_path / "foreign.csv"), "--output", str(tmp_path / "s.csv"), *common)
    assert done.returncode == 0, done.stderr
    scores = pd.read_csv(tmp_path / "s.csv").legitimacy_score
    assert scores[frame.is_abuse].mean() < scores[~frame.is_abuse].mean() - 0.2
    done = call("evaluate", "--dataset", str(tmp_path / "foreign.csv"), *common)
    assert done.returncode == 0, done.stderr


def read(tmp_path: Path, mapping: str, data: str) -> tuple[pd.DataFrame, str]:
    """Read a file in batches through a mapping; return the table and the report."""
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "d.csv").write_text(data)
    report = Report()
    rows = pd.read_csv(tmp_path / "d.csv", dtype="string")

    def frames(columns: Sequence[str] | None) -> Iterator[pd.DataFrame]:
        for start in range(0, len(rows), 2):
            yield rows[start : start + 2][list(columns or rows.columns)].copy()

    conversion = Conversion(read_mapping(tmp_path / "m.yaml"), frames, list(rows.columns), report)
    return pa.concat_tables(conversion.tables()).to_pandas(), "\n".join(report.lines)


DERIVED = """columns:
  timestamp: {from: placed, format: "%d.%m.%Y %H:%M"}
  order_amount: {from: price, decimal: ","}
  billing_shipping_match: {equal: [bill, ship]}
  account_age_days: {days_between: [{from: opened, format: "%Y-%m-%d"}, {from: placed, format: "%d.%m.%Y %H:%M"}]}
  device_type: dev
label: {from: bad, abuse: 1}
extra:
  numeric: {age: {days_between: [opened, {from: placed, format: "%d.%m.%Y %H:%M"}]}, second_price: "Price (2)"}
  categorical: [kind]
"""
ROWS = """placed,price,bill,ship,opened,dev,bad,Price (2),kind
02.01.2025 12:00,"1.234,56 EUR",A  Road 1,a road 1 ,2025-01-01,desktop,0,"$1,234.50",x
02.01.2025 12:00,"1.234",A,B,2025-01-03,Fridge,0,7, x
02.01.2025 12:00,"12,5",A,,soon,Fridge,1.0,ten,y
"""


def test_fields_are_derived_and_money_is_read(tmp_path: Path) -> None:
    """Equal columns, days between times (whole for a count, else fractional), and money in both notations are read."""
    table, lines = read(tmp_path, DERIVED, ROWS)
    assert table.order_amount.tolist() == [1234.56, 1234.0, 12.5]
    assert table.billing_shipping_match.tolist() == [True, False, None]
    assert table.account_age_days.fillna(-9).tolist() == [1.0, -9.0, -9.0]
    assert table.age.fillna(-9).tolist() == [1.5, -0.5, -9.0]
    assert table.second_price.fillna(-9).tolist() == [1234.5, 7.0, -9.0]
    assert table.kind.tolist() == ["x", "x", "y"]
    assert table.transaction_id.tolist() == ["row-1", "row-2", "row-3"]
    assert table.is_abuse.tolist() == [False, False, True]
    for words in (
        "dev: 2 of 3 are not a valid device_type; read as unknown: 'Fridge' (2); translate them with values: {…: desktop}",
        "Price (2): 1 of 3 are not numbers",
        "user_id: 3 of 3 are not mapped",
        "opened: 1 of 3 are not a valid time for age",
    ):
        assert lines.count(words) == 1, lines


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("timestamp:", "transaction_id: ship\n  timestamp:"), ""),
        (("timestamp:", "transaction_id: bill\n  timestamp:"), "id 'A' appears twice, the second time in row 3"),
        (("%d.%m.%Y %H:%M", "%d/%m/%Y"), "like '02.01.2025 12:00' in row 1; set its format"),
        (("device_type: dev", "device_type: {from: dev, values: {Fridge: oven}}"), "oven is not a valid device_type"),
        (("device_type: dev", "device_type: {equal: [dev, dev]}"), "equal yields a boolean"),
        (("device_type: dev", "device_type: {days_between: [dev, dev]}"), "days_between yields a number"),
        (("[bill, ship]", "[bill]"), "billing_shipping_match.equal"),
        (("[bill, ship]", "[bill, ship], other: 1"), "other: unknown entry"),
        (("abuse: 1", "abuse: 2"), "has no value 2; it has"),
        (("categorical: [kind]", "categorical: {kind: bad}"), "extra column bad is the label"),
        (("categorical: [kind]", "categorical: [kind, kind]"), "kind appears twice"),
    ],
)
def test_mapping_problems_are_reported_with_advice(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """Repeated ids, wrong formats, unknown values and derived fields of a wrong type are reported with advice."""
    data = ROWS.replace("A,,soon", "A,c,soon")
    if not words:
        assert read(tmp_path, DERIVED.replace(*change, 1), data)[0].transaction_id.is_unique
        return
    with pytest.raises((MappingError, TableError)) as caught:
        read(tmp_path, DERIVED.replace(*change, 1), data)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "by_point", "by_comma"),
    [
        ("1,234.50", 1234.5, None), ("1.234,56 €", None, 1234.56), ("1,234", 1234, 1.234), ("1.234", 1.234, 1234),
        ("CHF 1'234.50", 1234.5, None), ("-$5", -5, -5), ("(12.50)", -12.5, None), ("12,5", None, 12.5), ("ten", None, None),
        ("12 apples", None, None),
        ("1,23,456", 123456, None), ("1.2.3", None, None), ("$", None, None), ("US$12.50", 12.5, None),
        ("R$ 1.234,56", None, 1234.56), ("1\u202f234,56 zł", None, 1234.56), ("Rs. 500", 500, 500), ("Fr. 5.-", 5, 5),
        ("S/. 12.50", 12.5, None), ("12,50 kr.", None, 12.5), ("12.5 US dollars", 12.5, None), ("1e5", 1e5, 1e5),
        ("5-", -5, -5), ("12 34", None, None), ("--5", None, None), ("0.123", 0.123, None),
        ("inf", None, None), ("1:30", None, None),
    ],
)  # fmt: skip
def test_money(text: str, by_point: float | None, by_comma: float | None) -> None:
    """Amounts with currencies and thousands are read by the decimal sign of their column; anything else is unknown."""
    for decimal, wanted in ((".", by_point), (",", by_comma)):
        read = numbers(pd.Series([text], dtype="string"), decimal)[0]
        assert read == wanted or (wanted is None and np.isnan(read)), (text, decimal)


def test_numbers_of_seconds_are_no_dates_by_themselves(tmp_path: Path) -> None:
    """A column of numbers as a time needs its unit; a fractional label in the first rows is no error."""
    frame = pd.DataFrame({"t": [1735689600000, 1735689601000], "bad": [0, 1]})
    for options, fine in (("t", False), ("{from: t, unit: ms}", True)):
        (tmp_path / "m.yaml").write_text(f"columns: {{timestamp: {options}}}\nlabel: {{from: bad, abuse: 1.0}}\n")
        mapping = read_mapping(tmp_path / "m.yaml")
        for typed in (frame, frame.astype("string")):
            if fine:
                assert str(apply(mapping, typed, Report())["timestamp"][1]) == "2025-01-01 00:00:01"
            else:
                with pytest.raises(TableError, match=r"unit: ms \(2025-01-01 00:00:00\)"):
                    apply(mapping, typed, Report())
