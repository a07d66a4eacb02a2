"""Enrichment in the agent: derived fields in answer and record, files that change, and the same values in training."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from agent_server.data_files import WatchedDataFiles
from agent_server.decisions.completion import combine, with_completed
from contract.messages import row_of
from contract.schema import TYPES
from enrichment.derive import FILES
from enrichment.errors import DataFileError
from ml_server.commands.enriching import with_derived
from ml_server.serving.running import SERVICE
from testing.in_process import local_services
from testing.inputs.data_files import ANONYMITY, COUNTRIES, FRENCH, GERMAN, VPN, card_bins, mmdb
from testing.inputs.orders import message
from testing.waiting import wait_for

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 Version/17.2 Mobile/15E148 Safari/604.1"
ORDER = {
    "transaction_id": "t", "timestamp": "2099-02-11 10:00:00", "user_id": "u", "order_amount": 20.0,
    "user_agent": IPHONE, "ip_address": GERMAN, "card_bin": "424242",
}  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Return the agent's settings for one file of each kind."""
    return {
        "ip_country_db": mmdb(tmp_path / "countries.mmdb", COUNTRIES),
        "ip_anonymity_db": mmdb(tmp_path / "anonymity.mmdb", ANONYMITY),
        "card_bins": card_bins(tmp_path / "bins.csv"),
    }


async def test_derived_fields_are_in_answer_and_record(models: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    """The answer and the record list each derived field with its source; a value of the shop wins; a replay is the same."""
    async with local_services(models, tmp_path, agent=settings) as services, services.client("agent") as client:
        answer = (await client.post("/api/v1/review", json=ORDER)).json()
        derived = {one["name"]: (one["value"], one["source"]) for one in answer["completed_fields"]}
        assert derived["device_type"] == ('"mobile"', "user_agent")
        assert derived["automation_detected"] == ("false", "user_agent")
        value, source = derived["ip_country"]
        assert value == '"DE"' and source.startswith("ip_address, Test 20")
        assert derived["vpn_proxy_detected"][0] == "false" and derived["card_country"] == ('"US"', "card_bin")
        assert derived["payment_attempts_24h"] == ("1", "history")
        record = (await client.get("/api/v1/decisions/t")).json()["record"]
        assert record["completed_fields"] == answer["completed_fields"]
        assert record["transaction"]["device_type"] is None
        assert (await client.post("/api/v1/review", json=ORDER)).json() == answer
        own = {"device_type": "desktop", "ip_country": "FR", "vpn_proxy_detected": True, "card_country": "IT"}
        sent = (await client.post("/api/v1/review", json=ORDER | own | {"transaction_id": "own"})).json()
        assert not own.keys() & {one["name"] for one in sent["completed_fields"]}


async def test_the_score_is_that_of_all_fields(models: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    """An order whose fields were derived gets the score of one that was sent with these values."""
    agent = {**settings, "memory": False}
    async with local_services(models, tmp_path, agent=agent) as services, services.client("agent") as client:
        scorer: Any = services.scorer
        await asyncio.to_thread(wait_for, lambda: scorer._services[SERVICE].version, what="the model")
        derived = (await client.post("/api/v1/review", json=ORDER)).json()
        sent = ORDER | {
            "device_type": "mobile",
            "ip_country": "DE",
            "vpn_proxy_detected": False,
            "card_country": "US",
        }
        given = (await client.post("/api/v1/review", json=sent | {"transaction_id": "t2"})).json()
        assert derived["legitimacy_score"] == given["legitimacy_score"]


async def test_it_can_be_switched_off(models: Path, tmp_path: Path) -> None:
    """Without enrichment nothing is derived."""
    agent = {"enrichment": False, "memory": False}
    async with local_services(models, tmp_path, agent=agent) as services, services.client("agent") as client:
        assert (await client.post("/api/v1/review", json=ORDER)).json()["completed_fields"] == []


async def test_a_damaged_file_stops_the_start(models: Path, tmp_path: Path) -> None:
    """The agent does not start with a damaged database, and says which."""
    (tmp_path / "bad.mmdb").write_bytes(b"\x00" * 500)
    with pytest.raises(DataFileError, match=r"VOUCH_IP_COUNTRY_DB: .*bad.mmdb is not a valid MMDB file"):
        async with local_services(models, tmp_path, agent={"ip_country_db": tmp_path / "bad.mmdb"}):
            pass


def test_a_damaged_new_file_is_rejected(tmp_path: Path) -> None:
    """A file that becomes damaged or disappears leaves the previous one in use; a valid one replaces it."""
    path = mmdb(tmp_path / "countries.mmdb", COUNTRIES)
    watched = WatchedDataFiles({"VOUCH_IP_COUNTRY_DB": path, "VOUCH_CARD_BINS": None})
    order = message(ip_address=GERMAN, ip_country=None)
    assert watched.derive(order)["ip_country"].value == "DE"
    content = path.read_bytes()
    for damaged in (content[:-300], b""):
        path.write_bytes(damaged)
        watched.reload()
        assert watched.derive(order)["ip_country"].value == "DE"
    path.unlink()
    watched.reload()
    assert watched.derive(order)["ip_country"].value == "DE"
    replaced = mmdb(tmp_path / "new.mmdb", {"81.7.0.0/16": {"country": "AT"}})
    os.replace(replaced, path)
    watched.reload()
    assert watched.derive(order)["ip_country"].value == "AT"


def test_training_derives_the_same(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A table with derived columns has the rows that the agent completes, to the bit, with the shop's values unchanged."""
    for variable, path in zip(FILES, settings.values(), strict=True):
        monkeypatch.setenv(variable, str(path))
    rows = [
        ORDER, ORDER | {"ip_address": FRENCH, "device_type": "tablet"}, ORDER | {"ip_address": VPN, "user_agent": "curl/8.0"},
        ORDER | {"ip_address": "81.7.x.x", "card_bin": "999999"}, ORDER | {"user_agent": None, "ip_country": "US"},
    ]  # fmt: skip
    names = ("user_agent", "ip_address", "card_bin", "device_type", "ip_country")
    table = with_derived(pa.table({name: pa.array([row.get(name) for row in rows], TYPES[name]) for name in names}))
    watched = WatchedDataFiles(dict(zip(FILES, settings.values(), strict=True)))
    for number, row in enumerate(rows):
        order = message(**dict.fromkeys(table.column_names) | {name: _in_contract(row.get(name)) for name in names})
        completed = row_of(with_completed(order, combine({}, watched.derive(order)).values()))
        assert table.slice(number, 1).to_pylist() == [{name: completed.get(name) for name in table.column_names}]


def _in_contract(value: Any) -> Any:
    return "DEVICE_TYPE_TABLET" if value == "tablet" else value
