"""Links: which accounts share a device, an address or a card, and what a reviewer may see of their orders."""

import asyncio

import sqlalchemy as sa

from agent_server.audit.verify import verify_entry
from agent_server.history_store.links import MAX_ACCOUNTS, MAX_ORDERS, links_of
from agent_server.ledger.queries import DecisionFilter, record_page
from agent_server.ledger.schema import ENTRIES, PAYLOADS
from agent_server.privacy import Erase
from generated.vouch.v1 import agent_service_pb2 as pb
from history.definitions import DAY
from tests.agent.history_store.test_history import BEGUN, DENY, history_ledger, order, review

AT = BEGUN + 40 * DAY


async def test_accounts_are_linked_two_steps_far(ledger_url: str) -> None:
    """Accounts linked in one or two steps by device, address or card are listed; others are not."""
    ledger = history_ledger(ledger_url)
    await review(ledger, order(1, AT, "own", device_id="d1"))
    await review(ledger, order(2, AT + 1, "near", device_id="d1", card_id="c1"), DENY)
    await review(ledger, order(3, AT + 2, "far", card_id="c1", ip_address="1.2.3.4"))
    await review(ledger, order(4, AT + 3, "too-far", ip_address="1.2.3.4"))
    await review(ledger, order(5, AT + 4, "nobody", device_id="d9"))
    await review(ledger, order(6, AT + 5, "own", card_id="c7"))
    found = await ledger.read(links_of("t1"))
    assert found is not None and not found.truncated
    assert {one.user_id: (one.step, one.orders, one.denied) for one in found.accounts} == {
        "own": (0, 2, 0), "near": (1, 1, 1), "far": (2, 1, 0)
    }  # fmt: skip
    assert [(one.field, one.value, list(one.user_ids)) for one in found.links] == [
        ("device_id", "d1", ["own", "near"]), ("card_id", "c1", ["near", "far"])
    ]  # fmt: skip
    assert [(one.record.transaction_id, list(one.shared)) for one in found.orders] == [
        ("t6", ["user_id"]), ("t2", ["device_id"])
    ]  # fmt: skip
    assert await ledger.read(links_of("t99")) is None
    ledger.close()


async def test_an_erased_person_is_linked_to_nobody(ledger_url: str) -> None:
    """An erased person is not linked, neither as an account nor by an order."""
    ledger = history_ledger(ledger_url)
    await review(ledger, order(1, AT, "stays", device_id="d"))
    await review(ledger, order(2, AT, "gone", device_id="d"))
    await ledger.write(Erase(user_id="gone"))
    found = await ledger.read(links_of("t1"))
    assert found is not None and [one.user_id for one in found.accounts] == ["stays"]
    assert not found.links and not found.orders
    ledger.close()


async def test_links_of_a_key_with_many_accounts_are_truncated(ledger_url: str) -> None:
    """A device with hundreds of accounts: a page lists as many as fit, and says that there are more."""
    ledger = history_ledger(ledger_url)
    orders = (order(number, AT + number, f"u{number}", device_id="d") for number in range(450))
    await asyncio.gather(*(review(ledger, one) for one in orders))
    found = await ledger.read(links_of("t449"))
    assert found is not None and found.truncated
    assert (len(found.accounts), len(found.orders)) == (1 + MAX_ACCOUNTS, MAX_ORDERS)
    assert found.orders[0].record.transaction_id == "t448"
    ledger.close()


async def test_a_record_is_verified_in_the_chain(ledger_url: str) -> None:
    """An untouched record verifies; a changed answer, a changed entry and a truncated chain fail with a reason."""
    ledger = history_ledger(ledger_url)
    for number in range(4):
        await review(ledger, order(number, AT + number))
    for sequence in (1, 2, 4):
        place = await ledger.read(lambda rows, at=sequence: verify_entry(rows, at))  # type: ignore[misc]
        assert (place.problem, place.entries) == ("", 4)

    async def spoil(statement: sa.Executable, sequence: int) -> str:
        await ledger.write(lambda group: group.execute(statement))
        return (await ledger.read(lambda rows: verify_entry(rows, sequence))).problem

    payload = PAYLOADS.update().where(PAYLOADS.c.sequence == 2).values(payload=b"other")
    assert await spoil(payload, 2) == "the order or the answer is not what was written"
    denied = ENTRIES.update().where(ENTRIES.c.sequence == 3).values(decision=int(DENY))
    assert await spoil(denied, 3) == "the entry was changed, or is not the one that was written there"
    assert await spoil(ENTRIES.delete().where(ENTRIES.c.sequence == 4), 2) != ""
    assert "missing" in (await ledger.read(lambda rows: verify_entry(rows, 4))).problem
    ledger.close()


async def test_decisions_newest_first_and_by_model(ledger_url: str) -> None:
    """Pages lead from the newest to the oldest decision; for a model without decisions there are none."""
    ledger = history_ledger(ledger_url)
    for number in range(7):
        await review(ledger, order(number, AT + number))
    names, after = [], None
    while True:
        page, after = await ledger.read(record_page(DecisionFilter(newest_first=True), after, 3))
        names += [record.transaction_id for record in page]
        if after is None:
            break
    assert names == [f"t{number}" for number in reversed(range(7))]
    model = pb.DecisionRecord.FromString(page[0].SerializeToString()).model_version
    assert len((await ledger.read(record_page(DecisionFilter(model_version=model), None, 10)))[0]) == 7
    assert await ledger.read(record_page(DecisionFilter(policy_version="another"), None, 10)) == ([], None)
    ledger.close()
