"""Foreign data through a mapping."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from contract.tables import TableError
from ml_server.data.mapping import MappingError, Report, apply, read_mapping
from testing.foreign import FOREIGN, MAPPING
from testing.servers.processes import call


def mapped(tmp_path: Path, mapping: str = MAPPING, data: str = FOREIGN) -> tuple[pa.Table, Report]:
    """The foreign data through a mapping."""
    (tmp_path / "m.yaml").write_text(mapping)
    (tmp_path / "d.csv").write_text(data)
    report = Report()
    return apply(read_mapping(tmp_path / "m.yaml"), pd.read_csv(tmp_path / "d.csv", dtype="string"), report), report


def test_foreign_columns_become_fields(tmp_path: Path) -> None:
    """Names, units, dates, values and labels are mapped; what cannot be read is unknown, and counted by column."""
    table, report = mapped(tmp_path)
    rows = table.to_pydict()
    assert rows["order_amount"] == [12.5, 999.0, None]
    assert rows["device_type"] == ["desktop", "mobile", None]
    assert str(rows["timestamp"][0]) == "2025-02-13 10:00:00"
    assert rows["is_abuse"] == [False, True, False]
    assert rows["email_verified"] == [True, False, None]
    assert rows["v1"] == [0.5, 1.5, None]
    said = "\n".join(report.lines)
    for words in (
        "cents: 1 of 3",
        "dev: 1 of 3",
        "card_ok: 1 of 3",
        "v1: 1 of 3",
        "user_id: 3 of 3",
        "currency: has the name",
    ):
        assert words in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("columns:", "colums:"), "it needs an entry `columns`"),
        (("order_amount:", "order_sum:"), "order_sum is no field"),
        (("scale: 0.01", "factor: 2"), "order_amount.factor: there is no such entry"),
        (("timestamp:", "account_created_date:"), "timestamp must be mapped"),
        (("numeric: [v1]", "numeric: [user_agent]"), "extra column user_agent has the name of a field"),
        (("columns:", "{"), "m.yaml"),
    ],
)
def test_wrong_mappings_are_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """A mapping that cannot be used is an error that names the entry."""
    with pytest.raises(MappingError) as caught:
        mapped(tmp_path, MAPPING.replace(*change, 1))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("order,placed", "id,placed"), "column order is missing"),
        (("13/02/2025 10:00", "soon"), "column placed: 1 values cannot be a timestamp"),
        (("N,0.5", "Q,0.5"), "has 3 values, wanted two"),
        (("N,0.5", ",0.5"), "1 values are empty"),
    ],
)
def test_unusable_foreign_data_is_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    """Data that the mapping does not fit is an error with the column and the count."""
    with pytest.raises(TableError) as caught:
        mapped(tmp_path, data=FOREIGN.replace(*change, 1))
    assert words in str(caught.value)


def test_foreign_data_trains_and_scores(table: pa.Table, tmp_path: Path) -> None:
    """A foreign file with an extra column that tells trains by its mapping, uses the column, and is scored by it."""
    frame = table.slice(0, 4000).to_pandas()
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
    done = call("train", "--dataset", str(tmp_path / "foreign.csv"), *common)
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
