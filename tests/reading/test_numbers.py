"""Numbers of a column: one decimal sign for all values, or a question."""

from pathlib import Path

import pytest
from babel.numbers import list_currencies

from contract.tables import TableError
from ml_server.data.readings.numbers import is_unit
from testing.cldr import FOLDER, currency_words, month_words
from tests.reading.files import Read

MAPPING = "columns: {timestamp: when, user_id: user, order_amount: amount}\n"


def write(folder: Path, *amounts: str) -> Path:
    """Write a file with these amounts."""
    path = folder / "orders.csv"
    path.write_text(
        "when,user,amount\n" + "".join(f'2026-03-01,u,"{amount}"\n' for amount in amounts), encoding="utf-8"
    )
    return path


@pytest.mark.parametrize(
    ("amounts", "wanted"),
    [
        (["1.234", "12,50"], [1234, 12.5]),
        (["1,234", "12.50"], [1234, 12.5]),
        (["1.234.567", "1.234"], [1234567, 1234]),
        (["12.345", "0.5"], [12.345, 0.5]),
        (["EUR 1.234,50", "2,00 EUR"], [1234.5, 2]),
        (["Rs. 1,23,456.00", "₹500"], [123456, 500]),
        (["10.50 US dollars", "1,000.00"], [10.5, 1000]),
        (["5", "-", r"\N", "NULL"], [5, None, None, None]),
    ],
)
def test_the_column_decides(amounts: list[str], wanted: list[float | None], tmp_path: Path, read: Read) -> None:
    """One value that can be read one way only decides for those that could be read both ways."""
    table, report = read(write(tmp_path, *amounts), MAPPING)
    assert table.column("order_amount").to_pylist() == wanted
    assert "amount: 1 of" not in report


@pytest.mark.parametrize(
    ("amounts", "words"),
    [
        (["1.234", "56"], "'1.234' may be 1234"),
        (["1,234", "2,500"], "'1,234' may be 1234 (decimal: \".\") or 1.234"),
        (["1,234.50", "12,50"], "'1,234.50' (1 like it) has a decimal point and '12,50' (1) a decimal comma"),
    ],
)
def test_what_is_not_clear_is_asked(amounts: list[str], words: str, tmp_path: Path, read: Read) -> None:
    """Whole amounts with groups of three digits, and columns of both notations, are questions."""
    with pytest.raises(TableError) as caught:
        read(write(tmp_path, *amounts), MAPPING)
    assert words in str(caught.value)


def test_several_currencies_are_stated(tmp_path: Path, read: Read) -> None:
    """Amounts with signs of several currencies say so, unless the currency is mapped."""
    path = write(tmp_path, "$12.50", "€13.00", "€14.00")
    assert "amount: amounts in several currencies, € (2), $ (1); map currency" in read(path, MAPPING)[1]
    assert "several" not in read(path, MAPPING.replace("}", ", currency: {constant: EUR}}"))[1]


def test_all_currencies_are_known() -> None:
    """Codes, signs and names of all currencies of CLDR can stand before or after an amount; the lists are current."""
    assert all(is_unit(code) for code in list_currencies())
    for word in (
        "US$",
        "R$",
        "CA$",
        "zł",
        "Kč",
        "kr",
        "лв",
        "د.إ",
        "S/",
        "₫",
        "US dollars",
        "euros",
        "złotych polskich",
        "pounds",
    ):
        assert is_unit(word) or is_unit(word.replace(".", "")), word
    assert currency_words() == set((FOLDER / "currencies.txt").read_text(encoding="utf-8").splitlines())
    months = [line.split() for line in (FOLDER / "months.txt").read_text(encoding="utf-8").splitlines()]
    assert month_words() == {word: int(number) for number, word in months}
    assert not is_unit("apples")


def test_ids_stay_texts(tmp_path: Path, read: Read) -> None:
    """Ids of digits keep zeros and all digits; whole numbers that became fractions in Parquet are whole again."""
    path = tmp_path / "orders.csv"
    path.write_text("id,when,user\n0012345678901234567,2026-03-01,007\n8815300000000001,2026-03-01,1e5\n")
    mapping = "columns: {transaction_id: id, timestamp: when, user_id: user}\n"
    table, _ = read(path, mapping)
    assert table.column("transaction_id").to_pylist() == ["0012345678901234567", "8815300000000001"]
    assert table.column("user_id").to_pylist() == ["007", "1e5"]
    path.write_text("id,when,user\n8.8153E+15,2026-03-01,u\nx,2026-03-01,1e5\n")
    assert "id: 1 of 2 were rounded by a spreadsheet: '8.8153E+15' (1); export them again" in read(path, mapping)[1]
    import pandas as pd

    frame = pd.DataFrame({"id": [1001.0, 1002.0], "when": ["2026-03-01"] * 2, "user": [7, 8]})
    frame.to_parquet(tmp_path / "orders.parquet")
    table, _ = read(tmp_path / "orders.parquet", mapping)
    assert table.column("transaction_id").to_pylist() == ["1001", "1002"]
