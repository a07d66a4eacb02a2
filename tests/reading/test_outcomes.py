"""`vouch outcomes import` reads files as the other commands do."""

from pathlib import Path

import pytest

from ml_server.data.mapping import MappingError, Report, read_mapping
from stack.outcomes import TARGETS, find_mapping, read_outcomes
from tests.reading.files import CASES

DISPUTES = """Case,Order,Opened,Reason
1,t-1,01.04.2026 10:00,fraudulent
2,t-2,13.04.2026 10:00,product_not_received
3,t-3,14.04.2026,
"""
MAPPING = """columns:
  transaction_id: Order
  kind: {from: Reason, values: {fraudulent: chargeback, product_not_received: refund_claim}}
  occurred_at: {from: Opened, timezone: Europe/Berlin}
  source: {constant: bank}
"""


@pytest.mark.parametrize(
    ("name", "times"),
    [("o.csv", ["2026-11-27 13:00:00", "2026-11-27 03:00:00"]), ("spaces.csv", ["2026-11-27 08:00:00"])],
)
def test_offsets_and_spaces(name: str, times: list[str]) -> None:
    """Case 26: offsets on both sides of UTC are read, and names and values with spaces after commas."""
    path = CASES / "26" / name
    rows = list(read_outcomes(path, find_mapping(path), Report()))
    assert [str(row["occurred_at"]) for row in rows] == times
    assert {(row["transaction_id"], row["kind"], row["source"]) for row in rows} == {("t-1", "chargeback", "bank")}


def test_a_file_of_disputes_through_a_mapping(tmp_path: Path) -> None:
    """Columns, values, times and a constant source are mapped; a row that cannot be read is left for the agent to refuse."""
    (tmp_path / "disputes.csv").write_text(DISPUTES.replace(",", ";"))
    (tmp_path / "m.yaml").write_text(MAPPING)
    rows = list(read_outcomes(tmp_path / "disputes.csv", read_mapping(tmp_path / "m.yaml", TARGETS), Report()))
    assert [(row["transaction_id"], row["kind"], str(row["occurred_at"])) for row in rows] == [
        ("t-1", "chargeback", "2026-04-01 08:00:00"),
        ("t-2", "refund_claim", "2026-04-13 08:00:00"),
        ("t-3", None, "2026-04-13 22:00:00"),
    ]
    assert [row["row"] for row in rows] == ["row-1", "row-2", "row-3"]


def test_a_mapping_of_orders_is_refused(tmp_path: Path) -> None:
    """A mapping that says nothing of what happened is none of outcomes."""
    (tmp_path / "m.yaml").write_text(
        "columns: {transaction_id: Order, occurred_at: Opened, source: {constant: bank}}\n"
    )
    with pytest.raises(MappingError, match="kind must be mapped; an outcome says which order"):
        read_mapping(tmp_path / "m.yaml", TARGETS)
