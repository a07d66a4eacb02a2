"""Shapes of files: rows that are no orders, several rows an order, rows that label others, labels by lists."""

from pathlib import Path

import pytest

from contract.tables import TableError
from ml_server.data.datasets import drop_unlabelled, read_for_scoring, read_mapped
from ml_server.data.mapping import MappingError, Report, read_mapping
from tests.reading.files import Read, abuse_in

MAPPING = "columns: {transaction_id: id, timestamp: when, user_id: user, order_amount: amount}\n"
LINES = """id,when,user,amount,state,weight
a,2026-03-01,u,10.50,ok,1.5
a,2026-03-01,u,2.50,returned,2.5
b,2026-03-02,v,3.00,ok,
c,2026-03-03,w,4.00,,7
a,2026-03-04,u,1.00,ok,1
"""


def write(folder: Path, content: str) -> Path:
    """Write a file with this content."""
    path = folder / "orders.csv"
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("{state: OK}", ["a", "b", "a"]),
        ("{state: [ok, returned]}", ["a", "a", "b", "a"]),
        ("{state: {not: returned}}", ["a", "b", "c", "a"]),
        ("{state: {empty: true}}", ["c"]),
        ("{weight: {empty: false}, amount: {not: [10.5]}}", ["a", "c", "a"]),
    ],
)
def test_rows_are_chosen(where: str, ids: list[str], tmp_path: Path, read: Read) -> None:
    """Rows are kept by values, by the lack of values, and by several columns."""
    mapping = MAPPING.replace("transaction_id: id", "device_id: id") + f"where: {where}\n"
    table, report = read(write(tmp_path, LINES), mapping)
    assert table.column("device_id").to_pylist() == ids
    assert f"where: {5 - len(ids)} of 5 rows are no orders" in report


def test_a_choice_that_leaves_nothing_is_an_error(tmp_path: Path, read: Read) -> None:
    """A condition that no row meets is no empty file."""
    with pytest.raises(TableError, match=r"orders\.csv: no row meets where"):
        read(write(tmp_path, LINES), MAPPING + "where: {state: sold}\n")


def test_lines_of_an_order_are_added_up(tmp_path: Path, read: Read) -> None:
    """The sum of a field and of an extra, over lines that are apart; the label of any line counts."""
    mapping = MAPPING + "lines: {sum: [order_amount, weight]}\nextra: {numeric: [weight]}\n"
    mapping += "label: {from: state, abuse: returned, others: honest, empty: honest}\n"
    table, _ = read(write(tmp_path, LINES), mapping)
    assert table.column("transaction_id").to_pylist() == ["a", "b", "c"]
    assert table.column("order_amount").to_pylist() == [14.0, 3.0, 4.0]
    assert table.column("weight").to_pylist() == [5.0, None, 7.0]
    assert table.column("is_abuse").to_pylist() == [True, False, False]
    first, _ = read(write(tmp_path, LINES), mapping.replace("{sum: [order_amount, weight]}", "first"))
    assert first.column("order_amount").to_pylist() == [10.5, 3.0, 4.0]
    assert first.column("is_abuse").to_pylist() == [True, False, False]


def test_lines_may_follow_far_behind(tmp_path: Path) -> None:
    """A line in a later piece of a large file belongs to its order all the same."""
    rows = [f"o{number},2026-03-01,u,1.00,ok,1" for number in range(70_000)] + ["o0,2026-03-02,u,5.00,returned,1"]
    path = write(tmp_path, "\n".join([LINES.splitlines()[0], *rows]) + "\n")
    (tmp_path / "m.yaml").write_text(
        MAPPING + "lines: {sum: [order_amount]}\nlabel: {from: state, abuse: returned, honest: ok}\n"
    )
    tables = list(read_mapped(path, read_mapping(tmp_path / "m.yaml"), Report()))
    assert sum(table.num_rows for table in tables) == 70_000
    assert (tables[0]["order_amount"][0].as_py(), tables[0]["is_abuse"][0].as_py()) == (6.0, True)


REFERRING = """id,when,user,amount,kind,of
a,2026-03-01,u,10.50,sale,
b,2026-03-02,v,3.00,sale,
x,2026-03-03,u,-10.50,chargeback,a
y,2026-03-03,u,-1.50,dispute fee,a
z,2026-03-03,u,-1.50,chargeback,gone
"""
BY_ROWS = MAPPING + "where: {kind: sale}\nlabel: {rows: {kind: [chargeback, dispute]}, refers: of}\n"


def test_rows_that_label_are_no_orders_in_any_command(tmp_path: Path, read: Read) -> None:
    """Rows that label others are left out of orders, also where labels are not read; what they do not find is counted."""
    path = write(tmp_path, REFERRING)
    table, report = read(path, BY_ROWS)
    assert table.column("is_abuse").to_pylist() == [True, False]
    assert "of: 1 of 2 orders to which rows refer are not in the file, like 'gone'" in report
    (tmp_path / "m.yaml").write_text(BY_ROWS.replace("where: {kind: sale}\n", "where: {kind: {not: dispute fee}}\n"))
    mapping = read_mapping(tmp_path / "m.yaml")
    scored = next(read_for_scoring(path, mapping, mapping.extra, Report()))
    assert scored.column("transaction_id").to_pylist() == ["a", "b"] and "is_abuse" not in scored.column_names
    with pytest.raises(TableError, match=r"no row with kind: .* refers to an order, so no order is abuse"):
        read(path, BY_ROWS.replace("[chargeback, dispute]", "[lost]"))


LABELLED = """id,when,user,amount,reason
a,2026-03-01,u,1,fraudulent
b,2026-03-02,u,1,duplicate
c,2026-03-03,u,1,"vip, stolen"
d,2026-03-04,u,1,
e,2026-03-05,u,1,pending
"""


@pytest.mark.parametrize(
    ("label", "wanted"),
    [
        ("abuse: [fraudulent, vip], honest: duplicate, others: unknown, empty: honest", [1, 0, None, 0, None]),
        ("abuse: fraudulent, others: honest, empty: unknown", [1, 0, 0, None, 0]),
        ('abuse: [fraudulent, stolen], split: ",", empty: honest', [1, 0, 1, 0, 0]),
        (
            'abuse: stolen, split: ",", empty: honest, honest: [fraudulent, duplicate], others: unknown',
            [0, 0, 1, 0, None],
        ),
    ],
)
def test_labels_by_lists(label: str, wanted: list[int | None], tmp_path: Path, read: Read) -> None:
    """Several values of abuse, honest ones, the rest, empty cells and cells of several values mean what is said."""
    table, _ = read(write(tmp_path, LABELLED), MAPPING + f"label: {{from: reason, {label}}}\n")
    assert table.column("is_abuse").to_pylist() == wanted
    report = Report()
    known = drop_unlabelled(table, report)
    assert (known.num_rows, abuse_in(known)) == (5 - wanted.count(None), wanted.count(1))
    assert bool(report.lines) == (None in wanted)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("abuse: fraudulent", "1 values are empty, first in row 4"),
        ("abuse: fraudulent, empty: honest", "has 4 values instead of two: "),
        (
            "abuse: fraudulent, honest: duplicate, empty: honest",
            "list those of abuse and those of honest orders, or set others",
        ),
        ("abuse: lost, others: honest, empty: honest", "has no value 'lost'; it has 'fraudulent' (1)"),
    ],
)
def test_labels_that_are_not_clear(label: str, words: str, tmp_path: Path, read: Read) -> None:
    """A value of which nobody said what it means is an error with what to set."""
    with pytest.raises(TableError) as caught:
        read(write(tmp_path, LABELLED), MAPPING + f"label: {{from: reason, {label}}}\n")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("amount}", "amount, currency: {constant: EUR, from: x}}"), "currency.from"),
        (
            ("amount}", "amount, device_type: {constant: fridge}}"),
            "columns.device_type.constant: fridge is not a valid",
        ),
        (("user_id: user", "user_id: {constant: all}"), "it differs from row to row"),
        (("timestamp: when", "timestamp: {from: when, timezone: Mars/City}"), "'Mars/City' is no time zone"),
        (
            ("timestamp: when", "timestamp: {from: when, format: mixed}"),
            "timestamp.format: must be dmy, mdy, ymd, iso, excel",
        ),
        (("timestamp: when", "timestamp: {from: when, format: dmy, unit: s}"), "set one of them"),
        (("order_amount: amount", "order_amount: {from: [amount, id]}"), "only times and texts can be joined"),
        (("\n", "\nlines: last\n"), "lines"),
        (("\n", "\nlines: {sum: [user_id]}\n"), "lines.sum: user_id is not a mapped field or extra that is a number"),
        (("transaction_id: id, ", ""), ""),
        (("\n", "\nwhere: {kind: {not: a, empty: true}}\n"), "where.kind: must be a value, a list"),
        (("\n", '\ndialect: {separator: ";;"}\n'), "dialect.separator: must be one character, or tab"),
        (("\n", "\ndialect: {color: red}\n"), "dialect.color: unknown entry"),
        (("\n", "\nlabel: {rows: {kind: a}}\n"), "label"),
    ],
)
def test_wrong_entries_are_named(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    """An entry that is misspelt, contradicts another or cannot be is named."""
    text = MAPPING.replace(*change, 1)
    (tmp_path / "m.yaml").write_text(text if words else text + "lines: first\n")
    with pytest.raises(MappingError) as caught:
        read_mapping(tmp_path / "m.yaml")
    assert (words or "lines: transaction_id must be mapped") in str(caught.value)


def test_constants_and_fallbacks(tmp_path: Path, read: Read) -> None:
    """A field can be the same in every row; a list of columns fills in where the ones before are empty."""
    content = (
        "id,when,user,mail,card,amount\na,2026-03-01,,,c1,1\nb,2026-03-02,NULL,m@x.org,,1\nc,2026-03-03,u, ,c3,1\n"
    )
    mapping = MAPPING.replace(
        "user_id: user", "user_id: {from: user, fallback: [mail, card]}, currency: {constant: EUR}"
    )
    table, _ = read(write(tmp_path, content), mapping.replace("}\n", ", phone_verified: {constant: true}}\n"))
    assert table.column("user_id").to_pylist() == ["c1", "m@x.org", "u"]
    assert (
        table.column("currency").to_pylist() == ["EUR"] * 3 and table.column("phone_verified").to_pylist() == [True] * 3
    )


def test_further_spellings_of_null(tmp_path: Path, read: Read) -> None:
    """Spellings of null of databases are empty, and so are those that the mapping adds."""
    content = (
        "id,when,user,amount,kind\na,2026-03-01,u,\\N,\\N\nb,2026-03-02,u,(null),k. A.\nc,2026-03-03,u,#VALUE!,x\n"
    )
    mapping = MAPPING + 'nulls: ["k. A."]\nextra: {categorical: [kind]}\n'
    table, report = read(write(tmp_path, content), mapping)
    assert table.column("order_amount").null_count == 3 and table.column("kind").to_pylist() == [None, None, "x"]
    assert "amount:" not in report
