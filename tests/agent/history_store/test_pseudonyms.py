"""Pseudonyms as keys of history: counted online as in a replay, linked, exported, and erased with their person."""

from pathlib import Path

import pytest

from agent_server.history_store.links import links_of
from agent_server.ledger import open_engine
from agent_server.ledger.schema import ATTEMPTS, REPLACED_ATTEMPTS
from agent_server.privacy import Erase
from contract.fields import PSEUDONYMS
from history.definitions import DAY
from testing.ledger.history import compare_with_replay
from tests.agent.history_store.test_history import BEGUN, DENY, history_ledger, order, record_attempt, review

AT = BEGUN + 40 * DAY
COUNTS = dict(
    zip(PSEUDONYMS, ("accounts_on_email_30d", "accounts_on_phone_30d", "accounts_on_shipping_address_30d"), strict=True)
)


@pytest.mark.parametrize("name", PSEUDONYMS)
async def test_accounts_are_counted_by_each_pseudonym(ledger_url: str, name: str) -> None:
    """Accounts with one pseudonym are counted in 30 days, this one included; the replay of the ledger gives the same."""
    ledger = history_ledger(ledger_url)
    found = []
    for number, (days, user) in enumerate([(0, "a"), (1, "b"), (1, "a"), (31, "c"), (31, "d")]):
        decision = {"decision": DENY} if user == "b" else {}
        values = await review(ledger, order(number, AT + days * DAY, user, **{name: "p1"}), **decision)
        found.append(values[COUNTS[name]])
        assert values.keys() & set(COUNTS.values()) == {COUNTS[name]}
    assert found == [1, 2, 2, 3, 4]
    other = await review(ledger, order(9, AT + 31 * DAY, "d", **{name: "p2"}))
    assert other[COUNTS[name]] == 1
    assert COUNTS[name] not in await review(ledger, order(10, AT + 31 * DAY, "d"))
    ledger.close()
    compared = compare_with_replay(ledger_url)
    assert len(compared) == 7 and all(recorded == replayed for recorded, replayed in compared)


async def test_pseudonyms_link_accounts(ledger_url: str) -> None:
    """Two accounts that share a pseudonym are linked by it."""
    ledger = history_ledger(ledger_url)
    await review(ledger, order(1, AT, "own", email_id="e1"))
    await review(ledger, order(2, AT + 1, "near", email_id="e1", phone_id="p1"))
    await review(ledger, order(3, AT + 2, "far", phone_id="p1"))
    found = await ledger.read(links_of("t1"))
    assert found is not None
    assert {(one.field, one.value, tuple(one.user_ids)) for one in found.links} == {
        ("email_id", "e1", ("own", "near")), ("phone_id", "p1", ("near", "far"))
    }  # fmt: skip
    ledger.close()


async def test_an_erasure_leaves_no_digest(tmp_path: Path) -> None:
    """After an erasure no attempt of the person has a digest, decided, waiting or replaced, and no count has the person."""
    ledger = history_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    shared = dict.fromkeys(PSEUDONYMS, "p1")
    await review(ledger, order(1, AT, "gone", **shared))
    await record_attempt(ledger, order(2, AT + 1, "gone", **shared))
    await record_attempt(ledger, order(2, AT + 2, "gone", **shared, order_amount=7.0))
    await ledger.write(Erase(user_id="gone"))
    values = await review(ledger, order(3, AT + 3, "stays", **shared))
    assert [values[name] for name in COUNTS.values()] == [1, 1, 1]
    ledger.close()
    engine = open_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.connect() as connection:
        rows = [*connection.execute(ATTEMPTS.select()), *connection.execute(REPLACED_ATTEMPTS.select())]
    engine.dispose()
    assert sum(row.email_id is not None or row.phone_id is not None for row in rows) == 1
