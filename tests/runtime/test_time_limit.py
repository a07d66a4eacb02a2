"""Work with a time limit: its result, its errors, its timeout, and its cancellation."""

import asyncio
from typing import Any

import pytest

from runtime.time_limit import run_within


async def test_work_that_does_not_wait_needs_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work that is done at once returns its result, or raises its error, without a timer."""

    async def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.delattr(asyncio, "timeout")
    assert await run_within(1.0, _immediate("done")) == "done"
    with pytest.raises(ZeroDivisionError):
        await run_within(1.0, fail())


async def _immediate(value: Any) -> Any:
    return value


async def test_work_that_waits_goes_on() -> None:
    """Work that waits several times gets each result and each error that it waits for."""

    async def work() -> list[Any]:
        loop, seen = asyncio.get_running_loop(), list[Any]()
        for number in range(3):
            future: asyncio.Future[int] = loop.create_future()
            loop.call_soon(future.set_result, number)
            seen.append(await future)
            await asyncio.sleep(0)
        failing: asyncio.Future[int] = loop.create_future()
        loop.call_soon(failing.set_exception, ZeroDivisionError())
        try:
            await failing
        except ZeroDivisionError:
            seen.append("caught")
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            seen.append(await tasks.create_task(_immediate("task")))
        return seen

    for seconds in (60.0, None):
        assert await run_within(seconds, work()) == [0, 1, 2, "caught", "task"]


async def test_work_that_takes_too_long_is_cancelled() -> None:
    """After the time limit the work is cancelled, and the caller gets TimeoutError; the task goes on."""
    ended = list[str]()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeoutError):
        await run_within(0.001, work())
    task = asyncio.current_task()
    assert ended == ["cleaned up"] and task is not None and not task.cancelling()


async def test_a_cancelled_caller_cancels_the_work() -> None:
    """Cancellation of the caller reaches the work, which may clean up, and is not taken for a timeout."""
    started, ended = asyncio.Event(), list[str]()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            ended.append("cleaned up")
            raise

    task = asyncio.create_task(run_within(60.0, work()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleaned up"]
