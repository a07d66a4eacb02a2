"""Rows of any chunk of a plan, and what is done for a chunk before it is written."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from data_gen.language.pattern import Pattern
from data_gen.network.compile import Network
from data_gen.network.posterior import Posterior
from data_gen.output.plan import Chunk, Plan
from data_gen.output.rows import BATCH_SCHEMA, make_rows
from data_gen.patterns import PATTERNS
from data_gen.quality.sample import Sample
from data_gen.quality.summary import Summary


class Generator(Protocol):
    """Makes the rows of any chunk of a plan, in any process."""

    network: Network
    schema: pa.Schema

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Rows of a chunk in order of time."""


@cache
def own_network() -> Network:
    """The network of the generator's own patterns: nobody changes it, so that it is made once."""
    return Network(PATTERNS)


class RowGenerator:
    """Makes rows that know nothing of one another."""

    schema = BATCH_SCHEMA

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        self.network = own_network() if patterns is PATTERNS else Network(patterns)
        prior = np.array(plan.counts) / plan.rows
        self.posterior = Posterior(self.network, prior, plan.start, plan.end)
        self.seed = seed
        for node in self.network.nodes:  # made before workers are forked, so that they share them
            _ = node.entries, node.log_probability

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Rows of a chunk in order of time."""
        return make_rows(self.network, self.posterior, chunk, self.seed)


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk ready to be appended, and what was learned of its rows."""

    rows: int
    encoded: pa.Buffer
    summary: Summary
    sample: Sample


class ChunkTask:
    """Everything that is done for a chunk before it is appended: making, looking, encoding."""

    def __init__(self, generator: Generator, encode: Callable[[pa.RecordBatch], pa.Buffer], every: int) -> None:
        self._generator, self._encode, self._every = generator, encode, every

    def __call__(self, chunk: Chunk) -> EncodedChunk:
        """Do it all here."""
        batch = self._generator(chunk)
        summary = Summary()
        summary.add(batch)
        sample = Sample()
        sample.add(batch, self._every)
        return EncodedChunk(batch.num_rows, self._encode(batch), summary, sample)

    def to_file(self, chunk: Chunk, folder: str) -> tuple[EncodedChunk, str]:
        """Do it in a worker: the encoded bytes go through a file in memory, which costs less than a pipe."""
        encoded = self(chunk)
        path = Path(folder) / str(chunk.index)
        with pa.OSFile(str(path), "wb") as file:
            file.write(encoded.encoded)
        return EncodedChunk(encoded.rows, pa.py_buffer(b""), encoded.summary, encoded.sample), str(path)


def batches(generator: Generator, plan: Plan) -> Iterator[pa.RecordBatch]:
    """The rows of a plan in order of time, made here."""
    return map(generator, plan.chunks)
