"""Pseudonyms: made by the client from raw values, by shared vectors; raw values are refused by every door, unquoted."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vouch_client import Pseudonyms
from vouch_client.pseudonyms import normal_address, normal_email, normal_phone

from contract.fields import FIELDS, PSEUDONYM_RULE, PSEUDONYMS
from contract.schema import FILE_SCHEMA
from contract.tables import TableError, read_table
from ml_server.data.mapping_file import ColumnMapping
from ml_server.data.readings.columns import ColumnReader
from ml_server.data.readings.decisions import Decisions
from ml_server.data.report import Report
from runtime.validation.checks import violations
from testing.inputs.orders import message
from testing.servers.launching import ROOT

FILE = json.loads((ROOT / "clients" / "pseudonym_vectors.json").read_text())
KEY, REGION = FILE["key"], FILE["region"]
NORMALISE: dict[str, Any] = {
    "email": normal_email,
    "phone": lambda number: normal_phone(number, REGION),
    "shipping_address": normal_address,
}
REQUIRED = {"transaction_id": "t", "timestamp": "2025-02-11 10:00:00", "user_id": "u"}
RAW = ["ada@example.com", "+49 30 1234567", "+49301234567", "030/1234567", "4155552671", "Main St", "\u00e9", "id\n"]


@pytest.mark.parametrize("vector", FILE["vectors"], ids=lambda vector: vector["kind"])
def test_the_vectors(vector: dict[str, Any]) -> None:
    """Normal form and pseudonym of each value are those of the shared file; a value without them is refused."""
    kind, values = vector["kind"], vector["input"]
    make = getattr(Pseudonyms(KEY, REGION), kind)
    if "normal" not in vector:
        with pytest.raises(ValueError, match=r"expected|empty"):
            make(*values)
    else:
        assert (NORMALISE[kind](*values), make(*values)) == (vector["normal"], vector["pseudonym"])


@pytest.mark.parametrize(("kind", "field"), list(zip(NORMALISE, PSEUDONYMS, strict=True)))
def test_pseudonyms_are_valid(kind: str, field: str) -> None:
    """The contract accepts each pseudonym of the vectors; another key or kind gives another pseudonym."""
    made = [one for one in FILE["vectors"] if one["kind"] == kind and "normal" in one]
    for one in made:
        assert not violations(message(**{field: one["pseudonym"]}))
        assert getattr(Pseudonyms(KEY + "!", REGION), kind)(*one["input"]) != one["pseudonym"]
    assert Pseudonyms(KEY).email("a@b.c") != Pseudonyms(KEY).shipping_address("a@b.c")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_normal_forms_are_stable(text: str) -> None:
    """The normal form of a normal form is itself."""
    for normalise in (normal_email, normal_address):
        with contextlib.suppress(ValueError):
            normal = normalise(f"{text}@example.com" if normalise is normal_email else text)
            assert normalise(normal) == normal


def test_a_short_key_is_refused() -> None:
    """A key of fewer than 16 bytes is an error that says how long it must be."""
    with pytest.raises(ValueError, match="the key has 6 bytes; use 16 or more"):
        Pseudonyms("secret")


@pytest.mark.parametrize("field", PSEUDONYMS)
def test_services_refuse_raw_values(field: str) -> None:
    """E-mail addresses, phone numbers and texts with spaces break the rule; ids of a shop's own do not."""
    for text in RAW:
        assert violations(message(**{field: text})) == [(field, PSEUDONYM_RULE)]
    for text in ("a" * 64, "addr-4711", "4711", "Zm9v+/=="):
        assert not violations(message(**{field: text}))
    assert violations(message(**{field: "a" * 129}))


@pytest.mark.parametrize("field", PSEUDONYMS)
def test_files_refuse_raw_values(field: str, tmp_path: Path) -> None:
    """A file with a raw value is an error with row and column, and a mapping reads it as unknown; neither quotes it."""
    path = tmp_path / "orders.csv"
    pd.DataFrame([REQUIRED | {field: "a1b2c3"}, REQUIRED, REQUIRED | {field: RAW[0]}]).to_csv(path, index=False)
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: row 3, column {field}: {PSEUDONYM_RULE}"
    report = Report()
    given = pd.DataFrame({"hash": ["a1b2c3", None, *RAW]})
    read = ColumnReader(FIELDS, Decisions(), report).field(field, ColumnMapping(source="hash"), given)
    assert read.dropna().tolist() == ["a1b2c3"]
    assert report.lines[0].startswith(f"hash: {len(RAW)} of {len(given)} are no pseudonyms; read as unknown")
    assert field not in FILE_SCHEMA.names
