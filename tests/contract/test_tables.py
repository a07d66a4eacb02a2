"""Reading files: types, and errors that name file, row and column."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contract.tables import TableError, read_table

HEADER = "transaction_id,timestamp,user_id,order_amount,device_type,new_device,cards_used_30d,is_abuse\n"
GOOD = "t1,2025-02-11 10:00:00,u1,12.5,mobile,true,2,false\n"


def write(folder: Path, text: str) -> Path:
    """Write a CSV file with this text."""
    path = folder / "orders.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("timestamp,user_id\n2025-01-01,u\n", "column transaction_id is missing"),
        (HEADER + GOOD + "t2,2025-02-11 10:00:00,u1,12.5\n", "row 2 has 4 cells, the header has 8"),
        (HEADER + GOOD + GOOD.replace("12.5", "much"), "row 2, column order_amount: 'much'"),
        (HEADER + GOOD + GOOD.replace("12.5", "-3"), "row 2, column order_amount: -3.0"),
        (
            HEADER + GOOD.replace("mobile", "fridge"),
            "row 1, column device_type: 'fridge'; expected desktop, mobile, tablet",
        ),
        (HEADER + GOOD.replace("true", "maybe"), "row 1, column new_device: 'maybe'; expected true or false"),
        (HEADER + GOOD.replace(",2,", ",2.5,"), "row 1, column cards_used_30d: 2.5"),
        (HEADER + GOOD + GOOD.replace("2025-02-11 10:00:00", "yesterday"), "row 2, column timestamp: 'yesterday'"),
        (HEADER + GOOD + GOOD.replace("u1", ""), "row 2, column user_id: None; expected a value"),
        (HEADER.replace("user_id", "transaction_id") + GOOD, "appears twice"),
        (HEADER, "no rows"),
        ("", "Empty CSV"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, text: str, words: str) -> None:
    """An error in a file is reported with file, row and column."""
    path = write(tmp_path, text)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named() -> None:
    """A missing file is an error with its name."""
    with pytest.raises(TableError, match=r"nowhere\.csv: there is no such file"):
        read_table(Path("nowhere.csv"))


def test_a_broken_parquet_is_named(tmp_path: Path) -> None:
    """Bytes that are not Parquet are an error with the file's name."""
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(TableError, match=r"broken\.parquet"):
        read_table(path)


def test_pandas_files_are_read(tmp_path: Path) -> None:
    """Files from pandas are read as intended: True, 3.0 for a whole number in a column with gaps, ISO times."""
    text = HEADER + "t1,2025-02-11T10:00:00Z,u1,12.5,mobile,True,2.0,False\nt2,2025-02-11,u1,,,False,,True\n"
    table = read_table(write(tmp_path, text))
    assert table.column("cards_used_30d").to_pylist() == [2.0, None]
    assert table.column("new_device").to_pylist() == [True, False]
    assert [str(time) for time in table.column("timestamp").to_pylist()] == [
        "2025-02-11 10:00:00",
        "2025-02-11 00:00:00",
    ]
    pq.write_table(table, tmp_path / "again.parquet")
    assert read_table(tmp_path / "again.parquet").equals(table)
