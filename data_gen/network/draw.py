"""Sampler of the network: draws rows."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_gen.language.variables import Codes, read
from data_gen.network.compile import QUANTA, Network, Node

_PER_WORD = 4  # 16-bit numbers in one raw 64-bit word


class RawNumbers:
    """Whole random numbers directly from the bit generator, whose stream numpy guarantees never to change."""

    def __init__(self, seed: np.random.SeedSequence) -> None:
        self._bits = np.random.PCG64(seed)

    def uint16(self, rows: int) -> NDArray[np.uint16]:
        """Return `rows` numbers from 0 to 65535."""
        words: NDArray[np.uint64] = self._bits.random_raw(-(-rows // _PER_WORD))
        return words.astype("<u8", copy=False).view("<u2")[:rows]

    def uint64(self, rows: int) -> NDArray[np.uint64]:
        """Return `rows` numbers from 0 to 2**64 - 1."""
        words: NDArray[np.uint64] = self._bits.random_raw(rows)
        return words

    def below(self, limits: NDArray[np.int64] | int, rows: int) -> NDArray[np.int64]:
        """Return `rows` numbers from 0 to limit - 1, for limits up to 2**31."""
        words = self.uint64(-(-rows // 2)).astype("<u8", copy=False).view("<u4")[:rows]
        return (words.astype(np.int64) * limits) >> 32

    def up_to(self, limit: int, rows: int) -> NDArray[np.int64]:
        """Return `rows` numbers from 0 to limit - 1, for one limit up to 2**52."""
        fractions = (self.uint64(rows) >> np.uint64(11)) * 2.0**-53
        return np.minimum((fractions * limit).astype(np.int64), limit - 1)


def configuration(node: Node, codes: Mapping[str, Codes]) -> NDArray[np.int64] | int:
    """Return the index of each row's configuration of a node's parents; 0 for a node without parents."""
    result: NDArray[np.int64] | int = 0
    for parent, size in zip(node.parents, node.parent_sizes, strict=True):
        result = result * size + read(parent, codes)
    return result


Uint16Source = Callable[[str], NDArray[np.uint16]]
"""Returns the random numbers, 0 to 65535, of a node: one a row. Rows with equal numbers get equal values."""


def draw(
    network: Network, pattern: NDArray[Any], uint16: Uint16Source, given: Mapping[str, Codes] | None = None
) -> dict[str, Codes]:
    """Return the codes of every node, latent ones included, for rows of the patterns (indices into network.patterns).

    Nodes in `given` are not drawn.
    """
    codes: dict[str, Codes] = dict(given or {})
    for node in network.nodes:
        if node.name not in codes:
            codes[node.name] = draw_node(node, pattern, codes, uint16(node.name))
    return codes


def draw_node(
    node: Node, pattern: NDArray[Any], codes: Mapping[str, Codes], uint16: NDArray[np.uint16]
) -> NDArray[np.uint8]:
    """Return the codes of one node, given those of its parents."""
    table = node.table_of[pattern, configuration(node, codes)]
    table *= QUANTA
    table += uint16
    result: NDArray[np.uint8] = node.entries.take(table)
    return result
