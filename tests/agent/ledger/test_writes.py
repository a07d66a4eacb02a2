"""Writes of callers that disconnected, separate exceptions, and reads that do not wait for exports."""

import asyncio
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.ledger.transaction import LedgerTransaction
from runtime.errors import Unavailable
from runtime.jobs import MAINTENANCE_THREADS
from testing.ledger.decisions import new_decision


class BlockedWrite:
    """A write that blocks the writer until it is released."""

    def __init__(self) -> None:
        self.begun, self.opened = threading.Event(), threading.Event()

    def __call__(self, group: LedgerTransaction) -> None:
        """Wait."""
        self.begun.set()
        self.opened.wait(60)


async def block_writer(ledger: Ledger) -> tuple[BlockedWrite, "asyncio.Task[None]"]:
    """Block the writer of a ledger."""
    gate = BlockedWrite()
    task = asyncio.create_task(ledger.write(gate))
    await asyncio.to_thread(gate.begun.wait, 60)
    return gate, task


async def test_a_write_whose_caller_has_gone_is_not_begun(ledger_url: str) -> None:
    """A waiting write that was cancelled never runs, and the others do; one that has begun is committed."""
    ledger = Ledger(open_engine(ledger_url))
    gate, busy = await block_writer(ledger)
    gone, stays = (asyncio.create_task(ledger.write(new_decision(name))) for name in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    busy.cancel()  # it has begun: its group is committed all the same
    await asyncio.wait([gone, busy])
    gate.opened.set()
    assert (await stays).answer.transaction_id == "tstays"
    assert await ledger.read(latest_record("tgone")) is None
    assert (await ledger.write(new_decision("gone"))).replayed is False  # its caller retries, and gets one decision
    ledger.close()


async def test_a_write_that_was_given_up_is_not_recorded_later(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that timed out for its caller is not recorded afterwards."""
    monkeypatch.setattr("agent_server.ledger.writer.WRITE_TIMEOUT_SECONDS", 0.05)
    ledger = Ledger(open_engine(ledger_url))
    gate = BlockedWrite()
    busy = asyncio.create_task(ledger.write(gate))
    await asyncio.to_thread(gate.begun.wait, 60)
    with pytest.raises(Unavailable):
        await ledger.write(new_decision("late"))
    gate.opened.set()
    await asyncio.wait([busy])
    monkeypatch.setattr("agent_server.ledger.writer.WRITE_TIMEOUT_SECONDS", 60.0)
    await ledger.write(lambda group: None)
    assert await ledger.read(latest_record("tlate")) is None
    ledger.close()


async def test_each_caller_gets_an_exception_of_its_own(ledger_url: str) -> None:
    """A failed group fails all of its callers, each with its own exception object."""
    ledger = Ledger(open_engine(ledger_url))
    gate, busy = await block_writer(ledger)

    def broken(group: LedgerTransaction) -> None:
        raise sa.exc.OperationalError("statement", {}, Exception("disk is gone"))

    writes = [asyncio.create_task(ledger.write(broken)) for _ in range(20)]
    await asyncio.sleep(0)
    gate.opened.set()
    await asyncio.wait([busy])
    errors = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(error) for error in errors] == [Unavailable] * 20
    assert len({id(error) for error in errors}) == 20
    ledger.close()


async def test_the_writer_outlives_whatever_goes_wrong(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected failure fails the writes of one group, not the ledger's only writer."""
    ledger = Ledger(open_engine(ledger_url))
    answer, failures = ledger._answer, [LookupError]

    def shaky(waiting: Any) -> None:
        if failures:
            raise failures.pop()
        answer(waiting)

    monkeypatch.setattr(ledger, "_answer", shaky)
    lost = asyncio.create_task(ledger.write(new_decision("lost")))
    async with asyncio.timeout(60):
        while failures:  # noqa: ASYNC110  no event tells it
            await asyncio.sleep(0.001)
    assert (await ledger.write(new_decision("next"))).answer.transaction_id == "tnext"
    lost.cancel()
    await asyncio.wait([lost])
    ledger.close()


async def test_exports_block_no_read_of_a_decision(ledger_url: str) -> None:
    """While every maintenance thread is blocked by an export, decisions are still read."""
    ledger = Ledger(open_engine(ledger_url))
    await ledger.write(new_decision("read"))
    begun, opened = threading.Semaphore(0), threading.Event()

    def export(connection: Any) -> None:
        begun.release()
        opened.wait(60)

    exports = [asyncio.create_task(ledger.read_in_background(export)) for _ in range(2 * MAINTENANCE_THREADS)]
    for _ in range(MAINTENANCE_THREADS):
        assert await asyncio.to_thread(begun.acquire, timeout=60)
    for _ in range(20):
        assert await ledger.read(latest_record("tread")) is not None
    assert not any(export.done() for export in exports)
    opened.set()
    await asyncio.gather(*exports)
    ledger.close()
