"""Generators of rows, and the processing of a chunk before it is written."""

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
from data_gen.output.amounts import load_rates
from data_gen.output.plan import Chunk, Plan
from data_gen.output.rows import BATCH_SCHEMA, make_rows
from data_gen.patterns import PATTERNS
from data_gen.quality.sample import Sample
from data_gen.quality.summary import Summary


class Generator(Protocol):
    """Generates the rows of any chunk of a plan, in any process."""

    network: Network
    schema: pa.Schema

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Return the rows of a chunk in order of time."""


@cache
def default_network() -> Network:
    """Return the network of the built-in patterns. It is immutable, so it is compiled once."""
    return Network(PATTERNS)


class RowGenerator:
    """Generates independent rows."""

    schema = BATCH_SCHEMA

    def __init__(self, plan: Plan, seed: int, patterns: Sequence[Pattern] = PATTERNS) -> None:
        self.network = default_network() if patterns is PATTERNS else Network(patterns)
        prior = np.array(plan.counts) / plan.rows
        self.posterior = Posterior(self.network, prior, plan.start, plan.end)
        self.seed = seed
        for node in self.network.nodes:  # computed before workers are forked, so that they share them
            _ = node.entries, node.log_probability
        load_rates()

    def __call__(self, chunk: Chunk) -> pa.RecordBatch:
        """Return the rows of a chunk in order of time."""
        return make_rows(self.network, self.posterior, chunk, self.seed)


@dataclass(frozen=True)
class EncodedChunk:
    """A chunk ready to be appended, with its summary and its sample."""

    rows: int
    encoded: pa.Buffer
    summary: Summary
    sample: Sample


class ChunkTask:
    """Processing of a chunk before it is appended: generate, summarise, sample, encode."""

    def __init__(self, generator: Generator, encode: Callable[[pa.RecordBatch], pa.Buffer], every: int) -> None:
        self._generator, self._encode, self._every = generator, encode, every

    def __call__(self, chunk: Chunk) -> EncodedChunk:
        """Process a chunk in this process."""
        batch = self._generator(chunk)
        summary = Summary()
        summary.add(batch)
        sample = Sample()
        sample.add(batch, self._every)
        return EncodedChunk(batch.num_rows, self._encode(batch), summary, sample)

    def to_file(self, chunk: Chunk, folder: str) -> tuple[EncodedChunk, str]:
        """Process a chunk in a worker. The encoded bytes go through a file in memory, which costs less than a pipe."""
        encoded = self(chunk)
        path = Path(folder) / str(chunk.index)
        with pa.OSFile(str(path), "wb") as file:
            file.write(encoded.encoded)
        return EncodedChunk(encoded.rows, pa.py_buffer(b""), encoded.summary, encoded.sample), str(path)


def batches(generator: Generator, plan: Plan) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a plan in order of time, generated in this process."""
    return map(generator, plan.chunks)
