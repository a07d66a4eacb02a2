"""Ids of golden orders: they look like the shop's and contain nothing of a real one."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.feedback.golden_disguise import similar_text
from agent_server.history_store.attempts import RecordAttempt
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from generated.vouch.v1 import agent_service_pb2 as pb
from testing.inputs.orders import message
from testing.ledger.decisions import append_decisions, new_decision
from testing.ledger.templates import new_ledger
from tests.agent.feedback.test_golden import golden_cases, open_golden_case

ids = st.text(st.sampled_from("abcdefABCDXYZ0123456789_-:."), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("t-104233", r"t-\d{6}"),
        ("ORD_2025_000123", r"ORD_2025_\d{6}|ORD_\d{4}_\d{6}"),
        ("3f2b9c1e-77aa-4b1e-9c3e-0a1b2c3d4e5f", r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"),
        ("ch_3MqLiJLkdIwHu7ix", r"ch_\d[A-Z][a-z]{1}[A-Za-z0-9]{13}"),
        ("user-7", r"user-\d+"),
        ("12345678", r"\d{8}"),
    ],
)
def test_ids_look_like_the_shops(text: str, pattern: str) -> None:
    """Constant parts of the shop's ids stay; counters and random parts are drawn anew."""
    made = {similar_text(text, random.Random(seed)) for seed in range(50)}
    assert len(made) > 40 and all(re.fullmatch(pattern, one) for one in made), made


@given(text=ids, seed=st.integers(0, 1000))
def test_a_generated_id_fits_a_request(text: str, seed: int) -> None:
    """A generated id is printable, not empty, and at most four characters longer than its model."""
    made = similar_text(text, random.Random(seed))
    assert 0 < len(made) <= len(text) + 4 and made.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "anna.kowalska@example.com", "anna_kowalska", "kowalska.anna-DE12", "AnnaKowalska77", "Żaneta-Łoś", "a.kowalska",
        "ORDER-anna-1", "o'brien 1234", "ko\u0301walska", "KOWALSKA", "user:anna/12345", "user_kowalska", "10482",
    ],
)  # fmt: skip
def test_nothing_of_a_real_id_remains(text: str) -> None:
    """Every letter and digit is drawn anew, except common words in ids."""
    made = [similar_text(text, random.Random(seed)) for seed in range(80)]
    unchanged = "".join(
        letter if all(len(one) > place and one[place] == letter for one in made) else " "
        for place, letter in enumerate(text)
    )
    assert not set(re.findall(r"[^\W_]+", unchanged)) - {"ORDER", "user"}, unchanged


class _Same(random.Random):
    """A random generator that always draws the same."""

    def choice(self, seq: Any) -> Any:
        return seq[0]


async def test_no_golden_order_takes_an_id_of_the_shop(tmp_path: Path) -> None:
    """If 5,000 of 10,000 ids are taken, golden orders, accounts and devices get others; if all are, none is made."""
    url = new_ledger(tmp_path / "ledger.db")
    append_decisions(
        url, 5000, lambda number: new_decision(f"{number:04}", pb.DECISION_APPROVE, 0.9, user_id=f"u{number:04}")
    )
    ledger = Ledger(open_engine(url))
    golden = golden_cases(ledger)
    await ledger.write(RecordAttempt(message(transaction_id="remembered", user_id="u7777", device_id="d7777")))
    for _ in range(30):
        order = await open_golden_case(golden, message(transaction_id="t0001", user_id="u0001", device_id="d0001"))
        assert order is not None and order.transaction_id >= "t5000" and order.user_id >= "u5000"
        assert order.user_id != "u7777" and order.device_id != "d7777"
    latest = await ledger.read(latest_record("t0007"))
    assert latest is not None and latest.answer.decision == pb.DECISION_APPROVE
    golden._rng = _Same()
    assert await open_golden_case(golden, message(transaction_id="t0001", user_id="u0001")) is None
    ledger.close()
