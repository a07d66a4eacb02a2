"""From a plan to a file: chunks in order, made here or in worker processes, always the same bytes."""

import collections
import concurrent.futures
import contextlib
import itertools
import multiprocessing
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from data_gen.network import Network, Pattern
from data_gen.patterns import PATTERNS
from data_gen.plan import Chunk, Plan
from data_gen.posterior import Posterior
from data_gen.rows import BATCH_SCHEMA, make_rows
from data_gen.sample import Sample
from data_gen.summary import Summary
from data_gen.writing import format_of
from runtime.files import complete_or_nothing

_AHEAD = 2  # chunks that each worker may be ahead of the writer: what bounds the memory
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where there is one, encoded chunks never touch a disk


class Maker:
    """Makes the rows of any chunk of a plan."""

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        self.network = Network(patterns)
        prior = np.array(plan.counts) / plan.rows
        self.posterior = Posterior(self.network, prior, plan.start, plan.end)
        self.seed = seed
        for node in self.network.nodes:  # made before workers are forked, so that they share them
            _ = node.entries, node.log_probability

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Rows of a chunk in order of time."""
        return make_rows(self.network, self.posterior, chunk, self.seed)


@dataclass(frozen=True)
class Made:
    """A chunk ready to be appended, and what was learned of its rows."""

    rows: int
    encoded: pa.Buffer
    summary: Summary
    sample: Sample


class Work:
    """Everything that is done for a chunk before it is appended: making, looking, encoding."""

    def __init__(self, maker: Maker, encode: Callable[[pa.RecordBatch], pa.Buffer], every: int) -> None:
        self._maker, self._encode, self._every = maker, encode, every

    def __call__(self, chunk: Chunk) -> Made:
        """Do it all here."""
        batch = self._maker(chunk)
        summary = Summary()
        summary.add(batch)
        sample = Sample()
        sample.add(batch, self._every)
        return Made(batch.num_rows, self._encode(batch), summary, sample)

    def to_file(self, chunk: Chunk, folder: str) -> tuple[Made, str]:
        """Do it in a worker: the encoded bytes go through a file in memory, which costs less than a pipe."""
        made = self(chunk)
        path = Path(folder) / str(chunk.index)
        with pa.OSFile(str(path), "wb") as file:
            file.write(made.encoded)
        return Made(made.rows, pa.py_buffer(b""), made.summary, made.sample), str(path)


def batches(maker: Maker, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The rows of a plan in order of time, made here."""
    return map(maker, plan.chunks)


def write_dataset(
    maker: Maker, plan: Plan, path: Path, workers: int = 1, progress: Callable[[int], None] = lambda rows: None
) -> tuple[Summary, Sample]:
    """Write a plan's rows to a file; tell `progress` the rows of each chunk. Raises OutputError; then there is no file."""
    output, summary = format_of(path), Summary()
    sample = Sample()
    work = Work(maker, output.encode, every=Sample.step(plan.rows))
    with complete_or_nothing(path) as partial:
        output.open(str(partial), BATCH_SCHEMA)
        try:
            for made in _done(work, plan.chunks, min(workers, len(plan.chunks))):
                output.append(made.encoded)
                summary.merge(made.summary)
                sample.merge(made.sample)
                progress(made.rows)
        except BaseException:
            with contextlib.suppress(Exception):
                output.close()
            raise
        output.close()
    return summary, sample


def _done(work: Work, chunks: Sequence[Chunk], workers: int) -> Iterator[Made]:
    if workers == 1:
        yield from map(work, chunks)
        return
    # Forked workers share the maker's tables; nothing else runs in this process yet that a fork could upset.
    global _work  # noqa: PLW0603
    _work = work
    fork = multiprocessing.get_context("fork")
    where = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="vouch-", dir=where) as folder,
        concurrent.futures.ProcessPoolExecutor(workers, fork, _begin) as pool,
    ):
        waiting = iter(chunks)
        pending = collections.deque(pool.submit(_run, c, folder) for c in itertools.islice(waiting, workers * _AHEAD))
        try:
            while pending:
                made, path = pending.popleft().result()
                if (chunk := next(waiting, None)) is not None:
                    pending.append(pool.submit(_run, chunk, folder))
                with pa.memory_map(path) as mapped:
                    yield Made(made.rows, mapped.read_buffer(), made.summary, made.sample)
                Path(path).unlink()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_work: Work


def _begin() -> None:
    """A worker leaves stopping to its parent, and does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(chunk: Chunk, folder: str) -> tuple[Made, str]:
    return _work.to_file(chunk, folder)
