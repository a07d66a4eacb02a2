"""History over REST: orders without history fields are completed, and the record has the completed fields."""

from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.fields import CARD_ID_RULE
from testing.inputs.orders import DOCUMENTED
from testing.servers.processes import Stack, call
from testing.waiting import START_SECONDS

RAW = {
    "user_id": "customer-1", "order_amount": 40.0, "currency": "USD", "device_id": "device-1",
    "ip_address": "81.2.30.4", "card_id": "tok_8842", "account_created_date": "2025-01-15 10:00:00",
    "email_domain": "gmail.com", "payment_method": "credit_card", "billing_country": "DE", "shipping_country": "DE",
}  # fmt: skip


def test_a_raw_order_is_completed(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an import of past orders, the second of two orders has completed fields in the answer and in the record."""
    stack = Stack(tmp_path, models)
    past = pa.table(
        {
            "transaction_id": ["past-1", "past-2"], "user_id": ["somebody", "customer-1"],
            "timestamp": pa.array([1_735_000_000, 1_737_000_000], pa.timestamp("s")), "order_amount": [5.0, 20.0],
            "device_id": ["device-1", "device-1"],
        }
    )  # fmt: skip
    pq.write_table(past, tmp_path / "past.parquet")
    monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    done = call("history", "import", str(tmp_path / "past.parquet"))
    assert done.returncode == 0 and "2 new; history is complete since" in done.stdout, done.stderr
    monkeypatch.delenv("VOUCH_AGENT_LEDGER_URL")
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        url = stack.url("rest_agent")
        answers = []
        for number, day in enumerate((10, 11)):
            body = RAW | {"transaction_id": f"raw-{number}", "timestamp": f"2025-02-{day} 12:00:00"}
            answer = httpx.post(f"{url}/api/v1/review", json=body, timeout=START_SECONDS)
            assert answer.status_code == 200, answer.text
            answers.append(answer.json())
        first, second = ({each["name"]: each["value"] for each in one["completed_fields"]} for one in answers)
        assert first == {
            "orders_last_24h": "0", "orders_last_7d": "0", "total_orders_lifetime": "1", "avg_order_value": "20.0",
            "days_since_account_first_purchase": "25", "new_device": "false", "payment_attempts_24h": "1",
            "cards_used_30d": "1", "accounts_on_device_30d": "1", "accounts_on_ip_24h": "1",
        }  # fmt: skip
        denied = answers[0]["decision"] == "deny"
        assert second["payment_attempts_24h"] == "2" and second["orders_last_24h"] == str(int(not denied))
        again = httpx.post(f"{url}/api/v1/review", json=body, timeout=START_SECONDS)
        assert again.headers["vouch-replayed"] == "true" and again.json() == answers[1]
        record = httpx.get(f"{url}/api/v1/decisions/raw-1").json()["record"]
        assert record["completed_fields"] == answers[1]["completed_fields"]
        assert record["transaction"]["orders_last_24h"] is None
        given = body | {"transaction_id": "said", "orders_last_24h": 9}
        answer = httpx.post(f"{url}/api/v1/review", json=given, timeout=START_SECONDS).json()
        assert "orders_last_24h" not in {each["name"] for each in answer["completed_fields"]}
        with_number = DOCUMENTED | {"transaction_id": "card", "card_id": "4111111111111111"}
        refused = httpx.post(f"{url}/api/v1/review", json=with_number, timeout=START_SECONDS)
        assert refused.status_code == 422 and CARD_ID_RULE in refused.text
    finally:
        stack.close()
