"""From a plan to a file: chunks in order, generated here or in worker processes, always with the same bytes."""

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
from pathlib import Path

import pyarrow as pa

from data_gen.output.formats import format_of
from data_gen.output.generator import ChunkTask, EncodedChunk, Generator
from data_gen.output.plan import Chunk, Plan
from data_gen.quality.sample import Sample
from data_gen.quality.summary import Summary
from runtime.process.files import atomic_write

_CHUNKS_AHEAD = 2  # how far each worker may be ahead of the writer; limits the memory

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  if it exists, encoded chunks never touch a disk


def write_dataset(
    generator: Generator,
    plan: Plan,
    path: Path,
    workers: int = 1,
    progress: Callable[[int], None] = lambda rows: None,
) -> tuple[Summary, Sample]:
    """Write a plan's rows to a file, and each chunk's rows to `progress`. Raises OutputError; then there is no file."""
    output, summary = format_of(path), Summary()
    sample = Sample()
    task = ChunkTask(generator, output.encode, every=Sample.step(plan.rows))
    with atomic_write(path) as partial:
        output.open(str(partial), generator.schema)
        try:
            for encoded in _process_chunks(task, plan.chunks, min(workers, len(plan.chunks))):
                output.append(encoded.encoded)
                summary.merge(encoded.summary)
                sample.merge(encoded.sample)
                progress(encoded.rows)
        except BaseException:
            with contextlib.suppress(Exception):
                output.close()
            raise
        output.close()
    return summary, sample


def _process_chunks(task: ChunkTask, chunks: Sequence[Chunk], workers: int) -> Iterator[EncodedChunk]:
    if workers == 1:
        yield from map(task, chunks)
        return
    # Forked workers share the generator's tables. Forking is safe: nothing else runs in this process yet.
    global _task  # noqa: PLW0603
    _task = task
    fork = multiprocessing.get_context("fork")
    where = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with (
        tempfile.TemporaryDirectory(prefix="vouch-", dir=where) as folder,
        concurrent.futures.ProcessPoolExecutor(workers, fork, _init_worker) as pool,
    ):
        waiting = iter(chunks)
        pending = collections.deque(
            pool.submit(_run, c, folder) for c in itertools.islice(waiting, workers * _CHUNKS_AHEAD)
        )
        try:
            while pending:
                encoded, path = pending.popleft().result()
                if (chunk := next(waiting, None)) is not None:
                    pending.append(pool.submit(_run, chunk, folder))
                with pa.memory_map(path) as mapped:
                    yield EncodedChunk(encoded.rows, mapped.read_buffer(), encoded.summary, encoded.sample)
                Path(path).unlink()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_task: ChunkTask


def _init_worker() -> None:
    """Leave stopping to the parent process, and end when it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _run(chunk: Chunk, folder: str) -> tuple[EncodedChunk, str]:
    return _task.to_file(chunk, folder)
