"""`vouch mapping suggest`: usable guesses, which no content of a file can break."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from contract.fields import FIELDS, LABELS
from ml_server.data.mapping import Report, apply, read_mapping
from ml_server.data.suggestion.as_yaml import quote_scalar, to_yaml
from ml_server.data.suggestion.suggest import suggest
from testing.inputs.hostile import TEXTS
from testing.servers.processes import call


def test_a_foreign_file_gets_a_mapping_that_reads_it(tmp_path: Path) -> None:
    """Names, date formats, units, money, label and extras are guessed with reasons; the mapping reads the file."""
    rows, rng = 400, np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "Order No": [f"A{number}" for number in range(rows)],
            "PlacedAt": pd.date_range("2025-01-01", periods=rows, freq="7h").strftime("%d/%m/%Y %H:%M"),
            "amount": [f"{number + 1000:,}.50 €".translate({44: 46, 46: 44}) for number in range(rows)],
            "e-mail": [f"user{number}@gmail.com" for number in range(rows)],
            "Device": rng.choice(["PC", "Phone", "Fridge"], rows),
            "opened": 1_700_000_000 + rng.integers(0, 10**7, rows),
            "V 1": rng.normal(size=rows),
            "shop id": rng.choice([7, 8, 9], rows),
            "comment": "please ring",
            "basket": [f"text {number}" for number in range(rows)],
            "fraud_reason": rng.choice(["a", "b"], rows),
            "isFraud": (rng.random(rows) < 0.1).astype(int),
            "constant": 1,
        }
    )
    frame.to_parquet(tmp_path / "foreign.parquet")
    done = call("mapping", "suggest", str(tmp_path / "foreign.parquet"), "--output", str(tmp_path / "m.yaml"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "m.yaml").read_text()
    assert yaml.safe_load(text) == {
        "columns": {
            "transaction_id": "Order No",
            "timestamp": {"from": "PlacedAt", "format": "dmy"},
            "order_amount": {"from": "amount", "decimal": ","},
            "email_domain": "e-mail",
            "device_type": {"from": "Device", "values": {"PC": "desktop", "Phone": "mobile", "Fridge": None}},
            "account_created_date": {"from": "opened", "unit": "s"},
            "user_id": "e-mail",
        },
        "label": {"from": "isFraud", "abuse": "1"},
        "extra": {"numeric": {"v_1": "V 1"}, "categorical": {"shop_id": "shop id"}},
    }
    for words in (
        "Examples: A0, A1, A2",
        "known only after the outcome",
        "almost every row has a different value",
        "at most one value",
    ):
        assert words in text
    report = Report()
    table = apply(read_mapping(tmp_path / "m.yaml"), frame, report)
    assert table.column("order_amount").to_pylist()[:2] == [1000.5, 1001.5]
    assert all(table.column(name).null_count == 0 for name in table.column_names if name != "device_type")
    assert call("mapping", "suggest", str(tmp_path / "foreign.parquet")).stdout == text


def test_our_own_columns_are_found(table: pa.Table) -> None:
    """A file with the contract's own names: each column is guessed to be its field."""
    frame = table.slice(0, 2000).to_pandas().drop(columns=["abuse_type", "abuse_confidence", "difficulty_tier"])
    fields = {guess.name: guess.column for guess in suggest(frame).guesses if guess.role == "field"}
    assert fields == {name: name for name in FIELDS if name in table.column_names}


def test_no_label_is_suggested_as_an_extra(table: pa.Table) -> None:
    """Label columns of generated files never become extras: a model that reads one has seen the answer."""
    roles = {guess.column: guess.role for guess in suggest(table.slice(0, 2000).to_pandas()).guesses}
    assert {name: roles[name] for name in LABELS if name in roles} == {
        "is_abuse": "label", "abuse_type": "unused", "abuse_confidence": "unused", "difficulty_tier": "unused",
    }  # fmt: skip


@pytest.mark.parametrize("text", [*TEXTS, "a: b", "# c", "{x}", "- y", "\u20ac\U0001f600", "7", "no", "'", '"', "\\"])
def test_nothing_in_a_file_breaks_the_mapping(text: str, tmp_path: Path) -> None:
    """Hostile names and values stay one line of YAML that reads back unchanged, without control characters."""
    assert yaml.safe_load(f"{{a: {quote_scalar(text)}}}") == {"a": text}
    frame = pd.DataFrame({"when": ["2025-01-01", "2025-01-02", "2025-01-03"], text or "x": ["a", text, text]})
    mapping_text = to_yaml(suggest(frame), text, len(frame))
    assert mapping_text.replace("\n", "").isprintable()
    (tmp_path / "m.yaml").write_text(mapping_text)
    mapping = read_mapping(tmp_path / "m.yaml")
    assert "timestamp" in mapping.columns
