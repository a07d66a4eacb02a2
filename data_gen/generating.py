"""The generator as one function: chunks in order, made here or in worker processes, always the same bytes."""

import collections
import concurrent.futures
import itertools
import multiprocessing
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from data_gen.network import Network, Pattern
from data_gen.patterns import PATTERNS
from data_gen.plan import Chunk, Plan
from data_gen.posterior import Posterior
from data_gen.rows import make_rows

_AHEAD = 2  # chunks that each worker may be ahead of the writer: what bounds the memory


class Maker:
    """Makes the rows of any chunk of a plan."""

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        self.network = Network(patterns)
        prior = np.array(plan.counts) / plan.rows
        self.posterior = Posterior(self.network, prior, plan.start, plan.end)
        self.seed = seed

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Rows of a chunk in order of time."""
        return make_rows(self.network, self.posterior, chunk, self.seed)


def generate(maker: Maker, plan: Plan, workers: int = 1) -> Iterator[pa.RecordBatch]:
    """The batches of a plan in order of time."""
    if workers == 1 or len(plan.chunks) == 1:
        yield from map(maker, plan.chunks)
        return
    # Forked workers share the maker's tables; nothing else runs in this process yet that a fork could upset.
    global _maker  # noqa: PLW0603
    _maker = maker
    with concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("fork")) as pool:
        chunks = iter(plan.chunks)
        pending = collections.deque(pool.submit(_make, chunk) for chunk in itertools.islice(chunks, workers * _AHEAD))
        while pending:
            batch = pending.popleft().result()
            if (chunk := next(chunks, None)) is not None:
                pending.append(pool.submit(_make, chunk))
            yield batch


_maker: Maker


def _make(chunk: Chunk) -> pa.RecordBatch:
    return _maker(chunk)
