"""Labels as files: types come from the contract, not from the first order."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agent_server.feedback import labels
from agent_server.ledger import Ledger, open_engine
from contract.fields import FIELDS
from contract.schema import TYPES, WRITTEN_TYPES
from contract.tables import read_table
from generated.vouch.v1 import agent_service_pb2 as pb
from testing.ledger.decisions import append_decisions
from testing.ledger.templates import new_ledger
from testing.servers.processes import call
from tests.agent.feedback.test_labels import decision_on, report_on


@pytest.fixture
def empty(tmp_path: Path) -> str:
    """Return the URL of an empty ledger."""
    return new_ledger(tmp_path / "ledger.db")


EXTRAS: list[tuple[dict[str, float], dict[str, str]]] = [
    ({}, {}),
    ({"branch": 3.0, "weight": 2.5, "order_amount": 1.0}, {}),
    ({"weight": 1.0}, {"branch": "north", "is_abuse": "no", "label_source": "x", "card_id": "not the card"}),
    ({"branch": 2.5}, {"note": "only here"}),
]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("first", range(4))
async def test_types_come_from_the_contract(
    empty: str, tmp_path: Path, suffix: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For any order of the rows, each column of an export has the contract's type, and every value is read back."""
    ledger = Ledger(open_engine(empty))
    order_of_writing = [(first + step) % 4 for step in range(4)]
    for number in order_of_writing:
        fields = {"card_id": f"tok_{number}", "avg_order_value": 5.0} if number % 2 else {"ip_country": "DE"}
        await ledger.write(decision_on(number, 90, pb.DECISION_APPROVE, *EXTRAS[number], **fields))
        await ledger.write(report_on(number, 50 - order_of_writing.index(number)))
    ledger.close()
    output = tmp_path / f"labels{suffix}"
    monkeypatch.setattr(labels, "PAGE_SIZE", 1)
    done = call("labels", "--ledger", empty, "export", "--output", str(output))
    assert done.returncode == 0, done.stderr
    extra_types = {"branch": pa.string(), "weight": pa.float64(), "note": pa.string()}
    table = read_table(output, types=TYPES | extra_types)
    rows = {row["transaction_id"]: row for row in table.to_pylist()}
    assert [rows[f"t{n}"].get("card_id") for n in range(4)] == [None, "tok_1", None, "tok_3"]
    assert [rows[f"t{n}"]["branch"] for n in range(4)] == [None, "3", "north", "2.5"]
    assert [rows[f"t{n}"]["weight"] for n in range(4)] == [None, 2.5, 1.0, None]
    assert {row["is_abuse"] for row in rows.values()} == {True}
    assert {row["order_amount"] for row in rows.values()} == {299.99}
    if suffix == ".parquet":
        types = {field.name: field.type for field in pq.read_schema(output) if field.name in FIELDS}
        assert types.pop("timestamp") == pa.timestamp("ms")  # Parquet has no seconds
        assert types == {name: WRITTEN_TYPES[name] for name in types}


def test_an_export_of_memory_takes_the_same_orders(empty: str, tmp_path: Path) -> None:
    """`vouch history export` writes orders with extras that are named like its own columns."""
    append_decisions(empty, 3, lambda number: decision_on(number, 90))
    numbers = {"memory_replaces": 1.0, "denied": 2.0, "order_amount": 3.0}
    append_decisions(empty, 1, lambda _: decision_on(7, 80, numbers=numbers, card_id="tok_7"))
    done = call("history", "export", "--ledger", empty, "--output", str(tmp_path / "past.parquet"))
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr


def test_no_labels_is_no_file(empty: str, tmp_path: Path) -> None:
    """Without labels the export prints a message, exits with 1 and writes no file."""
    output = tmp_path / "labels.csv"
    done = call("labels", "--ledger", empty, "export", "--output", str(output))
    assert (done.returncode, output.exists()) == (1, False)
    assert "no labels yet" in done.stdout
