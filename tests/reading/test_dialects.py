"""Files of any dialect and kind: found, stated, or refused with the cause."""

import bz2
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from contract.files.dialects import Dialect
from contract.files.table_file import TableFile
from contract.tables import TableError, read_table
from tests.reading.files import Read, times_of

ROWS = "id,when,user,amount\na,2026-03-01 10:00,Zoë,12.50\nb,2026-03-02 10:00,Max,13.50\n"
MAPPING = "columns: {transaction_id: id, timestamp: when, user_id: user, order_amount: amount}\n"
EURO = ROWS.replace(",", ";").replace("12.50", "12,50").replace("13.50", "13,50")


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (ROWS.encode(), ""),
        (ROWS.encode("utf-8-sig"), ""),
        (ROWS.encode("utf-16"), "encoding utf-16"),
        (ROWS.replace("Zoë", "Zoe").encode("utf-16-le"), "encoding utf-16-le"),
        (ROWS.encode("cp1252"), "encoding windows-1252, as in 'Zoë'"),
        (EURO.encode(), "separator ';'"),
        (ROWS.replace(",", "\t").encode(), "separator a tab"),
        (ROWS.replace(",", "|").encode(), "separator '|'"),
        (("sep=;\n" + EURO).encode(), "separator ';'; header after 1 lines"),
        (("sep=;\r\n" + EURO.replace("\n", "\r\n")).encode("utf-16"), "separator ';'; encoding utf-16"),
        (("Orders of March\n\n" + ROWS).encode(), "header after 2 lines"),
        (("Orders, all of them\nfrom;to\n\n" + EURO).encode("cp1252"), "separator ';'; encoding windows-1252"),
        (('"All orders, paid"\n"In EUR, unless stated"\n"Definitions:"\n' + ROWS).encode(), "header after 3 lines"),
        (ROWS.replace(",", ", ").encode(), ""),
        (b'"id", "when", "user", "amount"\n"a", "2026-03-01 10:00", "Zo\xc3\xab", "12.5"\n"b", "2026-03-02", M, "13.5"\n', ""),
        (ROWS.replace("Max", '"Max\nMuster"').encode(), ""),
    ],
)  # fmt: skip
def test_dialects_are_found_and_stated(content: bytes, note: str, tmp_path: Path, read: Read) -> None:
    """Separators, encodings, title lines and spaces are found; what is not usual is stated."""
    (tmp_path / "orders.csv").write_bytes(content)
    table, report = read(tmp_path / "orders.csv", MAPPING)
    assert table.column("transaction_id").to_pylist() == ["a", "b"]
    assert table.column("user_id")[0].as_py() in ("Zoë", "Zoe")
    assert table.column("order_amount").to_pylist() == [12.5, 13.5]
    assert times_of(table, 1) == ["2026-03-01 10:00:00"]
    assert note in report and ("orders.csv:" in report) == bool(note)


@pytest.mark.parametrize(
    ("content", "entries", "words"),
    [
        (b"a;b,c\nx;y,z\n", "", "may be separated by ',' or by ';'"),
        (("Größe\n" * 50).encode() + b"\xff\xfe\xfa", "", "is UTF-8 but for some bytes"),
        (b"\x00" * 50, "", "contains NUL bytes"),
        (ROWS.encode(), "dialect: {encoding: klingon}", "klingon is no encoding that Python knows"),
        (ROWS.encode("cp1252"), "dialect: {encoding: utf-8}", "is not written in utf-8"),
        (b"\xd0\xcf\x11\xe0 an old workbook", "", "is no workbook that can be read"),
        (b"", "", "Empty CSV file"),
    ],
)
def test_what_cannot_be_read_names_the_cause(
    content: bytes, entries: str, words: str, tmp_path: Path, read: Read
) -> None:
    """Two possible separators, broken or unknown encodings and other kinds of files are refused with the cause."""
    (tmp_path / "orders.csv").write_bytes(content)
    with pytest.raises(TableError) as caught:
        read(tmp_path / "orders.csv", MAPPING + entries)
    assert words in str(caught.value) and "orders.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "entries"),
    [
        (ROWS.replace(",", "^").encode(), 'separator: "^"'),
        (ROWS.replace(",", "\t").encode(), "separator: tab"),
        (ROWS.encode("cp850"), "encoding: cp850"),
        (("x,y,z,0\n" + ROWS).encode(), "skip: 1"),
        (ROWS.replace("Zoë", "'Zo,ë'").encode(), 'quote: "\'"'),
    ],
)
def test_dialects_are_set(content: bytes, entries: str, tmp_path: Path, read: Read) -> None:
    """What is set in the mapping is not searched for."""
    (tmp_path / "orders.csv").write_bytes(content)
    table, _ = read(tmp_path / "orders.csv", MAPPING + f"dialect: {{{entries}}}\n")
    assert [user.replace(",", "") for user in table.column("user_id").to_pylist()] == ["Zoë", "Max"]


def _zip(**members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return target.getvalue()


@pytest.mark.parametrize(
    "name", ["orders.csv.gz", "orders.csv.bz2", "orders.csv.zst", "orders.zip", "parts", "orders.txt"]
)
def test_kinds_of_files(name: str, tmp_path: Path, read: Read) -> None:
    """Compressed files, archives and folders of parts give the rows of their parts, in order of their names."""
    path, (head, first, second) = tmp_path / name, ROWS.splitlines(keepends=True)
    if name == "parts":
        path.mkdir()
        (path / "2.csv").write_text(head.replace(",", ";") + second.replace(",", ";"))
        (path / "1.csv").write_text(head + first)
        (path / "_SUCCESS").write_text("")
    elif name == "orders.zip":
        path.write_bytes(_zip(b_csv=(head + second).encode(), a_csv=(head + first).encode("utf-16")))
    else:
        import pyarrow as pa

        packers: dict[str, Callable[[bytes], bytes]] = {
            "orders.csv.gz": gzip.compress, "orders.csv.bz2": bz2.compress, "orders.txt": bytes,
            "orders.csv.zst": lambda content: pa.compress(content, "zstd", asbytes=True),
        }  # fmt: skip
        path.write_bytes(packers[name](ROWS.encode()))
    table, _ = read(path, MAPPING)
    assert table.column("transaction_id").to_pylist() == ["a", "b"]


def test_parts_have_the_same_columns(tmp_path: Path, read: Read) -> None:
    """A part with other columns is named, and so is a member that the archive does not have."""
    (tmp_path / "orders.zip").write_bytes(_zip(a_csv=ROWS.encode(), b_csv=b"id,when\n1,2\n"))
    with pytest.raises(TableError, match=r"b\.csv has other columns than a\.csv: amount, user"):
        read(tmp_path / "orders.zip", MAPPING)
    assert read(tmp_path / "orders.zip", MAPPING + "dialect: {member: a.csv}\n")[0].num_rows == 2
    with pytest.raises(TableError, match=r"the archive has no file c\.csv; it has a\.csv, b\.csv"):
        read(tmp_path / "orders.zip", MAPPING + "dialect: {member: c.csv}\n")


def test_workbooks(workbook: bytes, tmp_path: Path, read: Read) -> None:
    """A sheet gives its rows under title rows; numbers and times are those of the cells, ids are whole."""
    (tmp_path / "orders.xlsx").write_bytes(workbook)
    assert CalamineWorkbook.from_filelike(io.BytesIO(workbook)).sheet_names == ["Orders", "Notes"]
    table, report = read(tmp_path / "orders.xlsx", MAPPING + "dialect: {sheet: Orders}\n")
    assert table.column("transaction_id").to_pylist() == ["1001", "1002"]
    assert table.column("order_amount").to_pylist() == [1.234, 13.5]
    assert times_of(table, 2) == ["2026-03-01 10:00:00", "2026-03-02 00:00:00"]
    assert "sheet Orders; header after 2 rows" in report
    with pytest.raises(TableError, match="rows in the sheets Orders, Notes; choose one"):
        read(tmp_path / "orders.xlsx", MAPPING)


def test_our_own_columns_in_any_dialect(tmp_path: Path) -> None:
    """A file with our columns needs no mapping because a spreadsheet saved it."""
    path = tmp_path / "orders.csv"
    path.write_bytes("transaction_id;timestamp;user_id;order_amount\na;2026-03-01 10:00;Zoë;12.5\n".encode("cp1252"))
    assert read_table(path).column("user_id").to_pylist() == ["Zoë"]
    (note,) = TableFile(path).notes
    assert note.startswith(
        "orders.csv: separator ';'; encoding windows-1252, as in 'Zoë' (if letters are wrong, set dialect"
    )
    assert TableFile(path, Dialect(encoding="cp1252")).names[0] == "transaction_id"


def test_unnamed_columns_have_numbers(tmp_path: Path, read: Read) -> None:
    """Columns without a name, as spreadsheets leave them at the end of a line, do not clash."""
    (tmp_path / "orders.csv").write_text("id,when,user,amount,,\na,2026-03-01,u,12.5,,\nb,2026-03-02,u,1.5,,x\n")
    table, report = read(tmp_path / "orders.csv", MAPPING)
    assert table.num_rows == 2 and "unused columns: column 5, column 6" in report
