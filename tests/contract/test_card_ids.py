"""A card number in `card_id`: every door refuses it with the same sentence, and no message quotes it."""

import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from contract.fields import CARD_ID_RULE, CARD_NUMBER, FIELDS
from contract.tables import TableError, read_table
from ml_server.data.mapping_file import ColumnMapping
from ml_server.data.readings.columns import ColumnReader
from ml_server.data.readings.decisions import Decisions
from ml_server.data.report import Report
from ml_server.estimator.frames import to_orders
from runtime.validation.checks import violations
from testing.inputs.orders import message

NUMBER = "4242424242424242"
REQUIRED = {"transaction_id": "t", "timestamp": "2025-02-11 10:00:00", "user_id": "u"}


@pytest.mark.parametrize(
    "text",
    [NUMBER, f"card {NUMBER}", "two words", "\u00e9", "tok\n", f"x_{NUMBER}", f"visa:{NUMBER}", f"tok-{NUMBER}-1"],
)
def test_services_say_what_is_wrong(text: str) -> None:
    """The violation is a sentence about card numbers, without a pattern."""
    assert violations(message(card_id=text)) == [("card_id", CARD_ID_RULE)]


@pytest.mark.parametrize(
    "text", ["tok_8842", "42424242424", "a" * 128, "4242-tok~!", f"5feceb66{NUMBER}ffc86f38", "[x]^`{y}~"]
)
def test_tokens_are_accepted(text: str) -> None:
    """Tokens are valid, also with eleven digits in a row, and so are hashes, which may have more."""
    assert not violations(message(card_id=text))


@pytest.mark.parametrize("ending", ["csv", "parquet", "numbers.parquet"])
def test_files_say_what_is_wrong(tmp_path: Path, ending: str) -> None:
    """CSV and Parquet name row and column, for texts and for whole numbers."""
    path = tmp_path / f"orders.{ending}"
    number = int(NUMBER) if ending.startswith("numbers") else NUMBER
    frame = pd.DataFrame(
        [REQUIRED | {"card_id": number if ending.startswith("numbers") else "tok"}, REQUIRED | {"card_id": number}]
    )
    if ending == "csv":
        frame.to_csv(path, index=False)
    else:
        pq.write_table(pa.Table.from_pandas(frame), path)
    with pytest.raises(TableError) as caught:
        read_table(path)
    row = 1 if ending.startswith("numbers") else 2
    assert str(caught.value) == f"{path}: row {row}, column card_id: {CARD_ID_RULE}"
    with pytest.raises(ValueError, match="column card_id: must be") as refused:
        to_orders(frame, required=())
    assert NUMBER not in str(refused.value)


def test_mappings_read_it_as_unknown() -> None:
    """A mapped column of card numbers is unknown, and the report says why without a number."""
    report = Report()
    frame = pd.DataFrame({"cc": ["tok", None, NUMBER]})
    tokens = ColumnReader(FIELDS, Decisions(), report).field("card_id", ColumnMapping(source="cc"), frame)
    assert tokens.tolist() == ["tok", pd.NA, pd.NA]
    (line,) = report.lines
    assert line.startswith("cc: 1 of 3 are card numbers; read as unknown") and line.endswith(CARD_ID_RULE)


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        (NUMBER, True), ("4242 4242 4242 4242", True), ("4242-4242-4242-4242", True), (f"{NUMBER}.0", True),
        ("123456789012", True), ("visa:" + NUMBER, True),
        ("tok_8842", False), ("12345678901", False), ("550e8400-e29b-41d4-a716-446655440000", False),
        ("5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b467290123456789ab", False), ("1" * 20, False),
    ],
)  # fmt: skip
def test_files_may_have_hashes(text: str, is_number: bool) -> None:
    """In files card numbers are found in any notation, and a hash or a UUID with many digits is a token."""
    found = pc.match_substring_regex(pa.array([text]), CARD_NUMBER)[0].as_py()
    assert (found, bool(re.search(CARD_NUMBER, text))) == (is_number, is_number)
