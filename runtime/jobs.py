"""Supervised background jobs: a job that fails is logged, counted, and restarted with exponential backoff.

An unawaited task dies silently, so production code adds a job here instead of creating a task. `failing` lists the jobs
that keep failing; health checks report them.
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
"""Consecutive failures after which a job counts as failing."""
STABLE_SECONDS: Final = 30.0
"""A job without an interval that runs for this time has recovered."""
CLOSE_SECONDS: Final = 5.0
"""Time limit for jobs to end when the supervisor closes."""
MAINTENANCE_THREADS: Final = 4
FAILURES = Counter("vouch_job_failures", "Failures of background jobs", ["job"])
FAILING = Gauge("vouch_job_failing", "1 while a background job keeps failing", ["job"], multiprocess_mode="livemax")

Work = Callable[[], Awaitable[float | None]]
"""One run of a periodic job, or a job that runs until it is cancelled. May return the seconds until the next run."""
_maintenance = ThreadPoolExecutor(MAINTENANCE_THREADS, "maintenance")
_log = get_logger()


@dataclass
class Job:
    """A job and its state. `every` is the interval between runs in seconds; None for a job without an interval."""

    name: str
    work: Work
    every: float | None
    failures: int = 0
    """Consecutive failures."""
    started: float = 0.0
    running: bool = False

    @property
    def backoff_seconds(self) -> float:
        """Return the seconds until the restart after a failure; doubles with each failure."""
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS))


class Jobs:
    """Supervisor of the background jobs of a process. As a context manager it stops them on exit."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Create a supervisor without jobs. Tests replace `clock` and `sleep`."""
        self._clock, self._sleep = clock, sleep
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, name: str, work: Work, *, every: float | None = None) -> None:
        """Start a job. Raise ValueError if a job of that name is running."""
        task = self._tasks.get(name)
        if task is not None and not task.done():
            raise ValueError(f"job {name} is already running")
        job = self._jobs[name] = Job(name, work, every)
        self._tasks[name] = asyncio.create_task(self._supervise(job), name=name)

    @property
    def names(self) -> Sequence[str]:
        """Return the names of all jobs."""
        return sorted(self._jobs)

    @property
    def failing(self) -> Sequence[str]:
        """Return the names of the jobs that keep failing."""
        return [name for name in self.names if self._is_failing(self._jobs[name])]

    def update_metrics(self) -> None:
        """Update the metrics."""
        for job in self._jobs.values():
            FAILING.labels(job.name).set(int(self._is_failing(job)))

    def is_running(self, name: str) -> bool:
        """Return whether a job is supervised and has not ended."""
        return name in self._tasks and not self._tasks[name].done()

    async def close(self) -> None:
        """Cancel all jobs and wait up to CLOSE_SECONDS for them."""
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
                self._record_failure(job, error)  # something the job awaited was cancelled, not the job itself
            except Exception as error:
                self._record_failure(job, error)
            else:
                self._record_success(job)
                if job.every is None:
                    return
                await self._sleep(job.every if pause is None else pause)
                continue
            await self._sleep(job.backoff_seconds)

    def _record_failure(self, job: Job, error: BaseException) -> None:
        if job.every is None and self._clock() - job.started >= STABLE_SECONDS:
            job.failures = 0
        job.running = False
        job.failures += 1
        FAILURES.labels(job.name).inc()
        # Log type and traceback only: the message may contain a value of an order.
        _log.error(
            "job failed", job=job.name, error=type(error).__name__, where=traceback_frames(error), failures=job.failures,
            next_start_in=job.backoff_seconds,
        )  # fmt: skip

    def _record_success(self, job: Job) -> None:
        job.running = False
        if job.failures:
            _log.info("job recovered", job=job.name, failures=job.failures)
            job.failures = 0


def watch_in_thread(name: str, owner: T, check: Callable[[T], object], every: float) -> None:
    """Call `check(owner)` every `every` seconds in a thread until the owner is garbage collected.

    For objects without an event loop. A failure is logged and counted, and the next check runs as usual.
    """
    threading.Thread(target=_run_watch, args=(name, weakref.ref(owner), check, every), name=name, daemon=True).start()


def _run_watch(name: str, reference: Callable[[], Any], check: Callable[[Any], object], every: float) -> None:
    while True:
        time.sleep(every)
        owner = reference()
        if owner is None:
            return
        try:
            check(owner)
        except Exception as error:
            FAILURES.labels(name).inc()
            _log.error("job failed", job=name, error=type(error).__name__, where=traceback_frames(error))
        del owner


async def in_maintenance_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run a slow function in the maintenance threads, so that exports, scrubs and file reads never delay a decision."""
    return await asyncio.get_running_loop().run_in_executor(_maintenance, function, *arguments)
