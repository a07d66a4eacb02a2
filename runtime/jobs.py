"""Background jobs under supervision: a job that fails is logged, counted, and started again after a growing pause.

A task that nobody awaits dies silently, so production code starts none by itself: it adds a job here. A job that keeps failing
is named by `failing`, which health checks report.
"""

import asyncio
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from prometheus_client import Counter, Gauge

from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames

T = TypeVar("T")
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0
FAILURES_IN_A_ROW: Final = 3
"""From this many on, a job counts as failing."""
STABLE_SECONDS: Final = 30.0
"""A job without rounds that runs for this long has recovered."""
CLOSE_SECONDS: Final = 5.0
"""Limit for jobs to end when the supervisor closes."""
MAINTENANCE_THREADS: Final = 4
FAILURES = Counter("vouch_job_failures", "Failures of background jobs", ["job"])
FAILING = Gauge("vouch_job_failing", "1 while a background job keeps failing", ["job"], multiprocess_mode="livemax")

Work = Callable[[], Awaitable[float | None]]
"""One round of a job, or all of one that runs until it is cancelled. May return the seconds until the next round."""
_maintenance = ThreadPoolExecutor(MAINTENANCE_THREADS, "maintenance")
_log = get_logger()


@dataclass
class Job:
    """A job and its state. `every` is the pause between rounds in seconds; None for a job that has no rounds."""

    name: str
    work: Work
    every: float | None
    failures: int = 0
    """Failures in a row."""
    started: float = 0.0
    running: bool = False

    @property
    def pause(self) -> float:
        """Seconds until the next start after a failure: doubles with each."""
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS))


class Jobs:
    """Supervises the background jobs of a process. As a context manager it stops them on leaving."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`clock` and `sleep` are replaced in tests."""
        self._clock, self._sleep = clock, sleep
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, name: str, work: Work, *, every: float | None = None) -> None:
        """Start a job. Raises ValueError where one of that name still runs."""
        task = self._tasks.get(name)
        if task is not None and not task.done():
            raise ValueError(f"a job {name} runs already")
        job = self._jobs[name] = Job(name, work, every)
        self._tasks[name] = asyncio.create_task(self._supervise(job), name=name)

    @property
    def names(self) -> Sequence[str]:
        """Names of all jobs."""
        return sorted(self._jobs)

    @property
    def failing(self) -> Sequence[str]:
        """Names of the jobs that keep failing."""
        return [name for name in self.names if self._is_failing(self._jobs[name])]

    def show(self) -> None:
        """Bring the metrics up to date."""
        for job in self._jobs.values():
            FAILING.labels(job.name).set(int(self._is_failing(job)))

    def running(self, name: str) -> bool:
        """Whether a job is supervised and has not come to its end."""
        return name in self._tasks and not self._tasks[name].done()

    async def close(self) -> None:
        """Cancel all jobs and wait for them, at most CLOSE_SECONDS."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            if pending:
                _log.error("jobs did not end", jobs=sorted(task.get_name() for task in pending))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _is_failing(self, job: Job) -> bool:
        stable = job.every is None and job.running and self._clock() - job.started >= STABLE_SECONDS
        return job.failures >= FAILURES_IN_A_ROW and not stable

    async def _supervise(self, job: Job) -> None:
        task = asyncio.current_task()
        while True:
            job.started, job.running = self._clock(), True
            try:
                pause = await job.work()
            except asyncio.CancelledError as error:
                if task is not None and task.cancelling():
                    raise
                self._failed(job, error)  # something that the job waited for was cancelled, not the job
            except Exception as error:
                self._failed(job, error)
            else:
                self._succeeded(job)
                if job.every is None:
                    return
                await self._sleep(job.every if pause is None else pause)
                continue
            await self._sleep(job.pause)

    def _failed(self, job: Job, error: BaseException) -> None:
        if job.every is None and self._clock() - job.started >= STABLE_SECONDS:
            job.failures = 0
        job.running = False
        job.failures += 1
        FAILURES.labels(job.name).inc()
        # The error's own text may hold a value of an order: its type and its place do not.
        _log.error(
            "job failed", job=job.name, error=type(error).__name__, where=traceback_frames(error), failures=job.failures,
            next_start_in=job.pause,
        )  # fmt: skip

    def _succeeded(self, job: Job) -> None:
        job.running = False
        if job.failures:
            _log.info("job recovered", job=job.name, failures=job.failures)
            job.failures = 0


def watch_in_thread(name: str, owner: T, look: Callable[[T], object], every: float) -> None:
    """Call `look(owner)` again and again in a thread of its own, for as long as the owner is used elsewhere.

    For objects that belong to no event loop. A failure is logged and counted, and the next look comes as ever.
    """
    threading.Thread(target=_watch, args=(name, weakref.ref(owner), look, every), name=name, daemon=True).start()


def _watch(name: str, reference: Callable[[], Any], look: Callable[[Any], object], every: float) -> None:
    while True:
        time.sleep(every)
        owner = reference()
        if owner is None:
            return
        try:
            look(owner)
        except Exception as error:
            FAILURES.labels(name).inc()
            _log.error("job failed", job=name, error=type(error).__name__, where=traceback_frames(error))
        del owner


async def in_maintenance_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run a slow function in the threads of maintenance: exports, scrubs and reads of files never hold up a decision."""
    return await asyncio.get_running_loop().run_in_executor(_maintenance, function, *arguments)
