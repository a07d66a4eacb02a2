"""Masked addresses belong to too many people for counts or links: online, offline, imported and exported."""

import datetime as dt
import ipaddress
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_server.history_store.importing import HistoryImport
from agent_server.history_store.links import links_of
from agent_server.ledger.schema import ATTEMPTS
from history.definitions import DAY, NEEDED, key_text
from history.table import with_history
from testing.ledger.history import compare_with_replay
from tests.agent.history_store.test_history import BEGUN, history_ledger, order, record_attempt, review

AT = BEGUN + 40 * DAY
MASKED = ("81.7.xxx.xxx", "81.7.x.x", "81.7.3.xxx", "81.7.3.0", "81.7.0.0", "2001:db8:85a3::", "2001:db8:85a3:8d3:0:0:0:0",
          "2001:db8:85a3:8d3:xxxx:xxxx:xxxx:xxxx", "2001:db8:85a3::0:0", "::")  # fmt: skip
FULL = ("81.7.3.10", "81.7.0.100", "2001:db8::1", "2001:db8:85a3:8d3:0:0:0:1", "::ffff:81.7.3.9", "11.0.0.1")
PRIVATE = ("10.1.2.3", "172.31.9.9", "192.168.0.7", "127.0.0.1", "169.254.7.7", "100.64.9.9", "239.1.1.1", "::ffff:10.1.2.3",
           "::1", "0:0:0:0:0:0:0:1", "fd00::7", "fe80::1", "ff02::1")  # fmt: skip
_PRIVATE = [
    ipaddress.ip_network(text)
    for text in ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                 "224.0.0.0/3", "::1/128", "fc00::/7", "fe80::/9", "ff00::/8")
]  # fmt: skip


@pytest.mark.parametrize("address", MASKED)
def test_a_masked_address_is_recognised(address: str) -> None:
    """Masks are x, zeros at the end of IPv4, and zeros after the network part of IPv6."""
    assert key_text("ip_address", address) is None
    assert key_text("device_id", address) == address


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_recognised(address: str) -> None:
    """Addresses of private networks, of the machine itself and of a link are no keys, in any spelling."""
    assert key_text("ip_address", address) is None


@given(
    st.one_of(st.ip_addresses(), st.sampled_from(_PRIVATE).flatmap(lambda network: st.ip_addresses(network=network)))
)
def test_only_masks_and_private_networks_are_left_out(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """A full address is a key unless it is private, or its last octet, or the last 64 bits of IPv6, are zero."""
    masked = int(address) & ((1 << 64) - 1 if address.version == 6 else 255) == 0
    private = any(address in network for network in _PRIVATE)
    for text in (str(address), address.exploded):
        assert (key_text("ip_address", text) is None) == (masked or private)


async def test_strangers_of_a_network_are_not_counted(ledger_url: str) -> None:
    """Six honest orders from one masked network get no counts of the address, and all other counts as usual."""
    ledger = history_ledger(ledger_url)
    fields: dict[str, Any] = {"card_id": "c", "order_amount": 20.0}
    for n in range(6):
        address = MASKED[n // 3]
        values = await review(ledger, order(n, AT + n, f"u{n}", device_id=f"d{n}", ip_address=address, **fields))
        assert "accounts_on_ip_24h" not in values and values["accounts_on_device_30d"] == 1
    for n in range(6, 9):
        values = await review(ledger, order(n, AT + n, f"u{n}", ip_address="81.7.3.10", **fields))
        assert values["accounts_on_ip_24h"] == n - 5
    ledger.close()
    compared = compare_with_replay(ledger_url)
    assert len(compared) == 9 and all(recorded == found for recorded, found in compared)


async def test_a_masked_address_links_nobody(ledger_url: str) -> None:
    """A masked address links no accounts or orders; the full address beside it does, and a device links as usual."""
    ledger = history_ledger(ledger_url)
    await review(ledger, order(1, AT, "own", device_id="d1", ip_address="81.7.xxx.xxx"))
    await review(ledger, order(2, AT + 1, "stranger", device_id="d2", ip_address="81.7.xxx.xxx"))
    await review(ledger, order(3, AT + 2, "near", device_id="d1", ip_address="81.7.3.9"))
    await review(ledger, order(4, AT + 3, "neighbour", device_id="d4", ip_address="81.7.3.9"))
    found = await ledger.read(links_of("t1"))
    assert found is not None
    assert {one.user_id: one.step for one in found.accounts} == {"own": 0, "near": 1, "neighbour": 2}
    assert [(one.field, one.value) for one in found.links] == [("device_id", "d1"), ("ip_address", "81.7.3.9")]
    assert [list(one.shared) for one in found.orders] == [["device_id"]]
    ledger.close()


async def test_imported_orders_agree(ledger_url: str) -> None:
    """Imported history and the columns of a table leave out the same addresses as the agent."""
    rows = [(f"t{address}{n}", f"u{n}", AT + n, address) for address in (*MASKED, *FULL) for n in range(3)]
    times = pa.array(
        [dt.datetime.fromtimestamp(row[2], dt.UTC).replace(tzinfo=None) for row in rows], pa.timestamp("s")
    )
    table = pa.table(
        {
            "transaction_id": [row[0] for row in rows], "user_id": [row[1] for row in rows], "timestamp": times,
            "ip_address": [row[3] for row in rows],
        }
    )  # fmt: skip
    counted = with_history(table, since=BEGUN).column("accounts_on_ip_24h").to_pylist()
    assert counted == [None] * 3 * len(MASKED) + [1, 2, 3] * len(FULL)
    ledger = history_ledger(ledger_url)
    importing = HistoryImport(ledger._engine)
    importing.add(table)
    importing.finish()
    with ledger._engine.connect() as connection:
        stored = connection.execute(ATTEMPTS.select()).all()
    assert len(stored) == len(rows) and sum(row.ip_address is None for row in stored) == 3 * len(MASKED)
    for n, address in enumerate((*MASKED, *FULL)):
        values = (await record_attempt(ledger, order(n, AT + 9, "u9", ip_address=address))).values
        assert values.get("accounts_on_ip_24h") == (None if address in MASKED else 4)
    ledger.close()


def test_all_other_keys_are_unchanged() -> None:
    """Empty and unknown values are no key; all other keys are unchanged."""
    for name in NEEDED:
        assert key_text(name, "") is None and key_text(name, None) is None
        assert key_text(name, "a") == "a"
