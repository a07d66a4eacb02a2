"""Division of a forest's leaves into fragments, and the tables of their Shapley values; `fragments` describes both."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Floats, Places
from ml_server.model.trees.bits import LeafBits
from ml_server.model.trees.paths import Paths, shapley

MAX_ANSWERS = 256
"""Numbers of answers fit a byte. With 128 or fewer there are more fragments, which takes longer than larger tables."""
_CHUNK = 1 << 16  # pairs of an answer and a leaf that are computed at once
_Ranges = list[tuple[int, int, int]]
"""Ranges of a feature's bins: first row, row after the last, and the leaves of a word that they reach, as bits."""


@dataclass(frozen=True)
class Layout:
    """Fragments, and what distinguishes their answers.

    leaves, fragment: the leaves of all fragments, in their sequence, and the fragment of each, shape (leaves,).
    feature: features of each fragment, shape (fragments, slots); one after the last for an unused slot.
    size: number of sets of a feature's bins, of the same shape.
    reached: the leaves of a word that a set of bins reaches, as bits, shape (fragments, slots, sets).
    numbers: what a bin adds to the number of the answer, shape (bins of all features, fragments).
    """

    leaves: Places
    fragment: Places
    feature: Places
    size: Places
    reached: NDArray[np.uint64]
    numbers: NDArray[np.uint8]

    @classmethod
    def of(cls, paths: Paths, bits: LeafBits, bins: Sequence[int], leaves: Places) -> "Layout":
        """Divide some leaves, each of which has at most MAX_ANSWERS alone."""
        ranges = _ranges(bits, bins)
        fragments = list(_fragments(paths, bits, ranges, leaves))
        slots = max([1, *(len(one.counts) for one in fragments)])
        shape = len(fragments), slots
        feature, size = np.full(shape, paths.features), np.ones(shape, dtype=np.intp)
        reached = np.zeros(
            (*shape, max([1, *(count for one in fragments for count in one.counts.values())])), dtype=np.uint64
        )
        numbers = np.zeros((len(bits.by_bin), len(fragments)), dtype=np.uint8)
        for number, one in enumerate(fragments):
            step = 1
            for slot, own in enumerate(one.counts):
                sets = _sets(ranges[one.word][own], one.mask)
                feature[number, slot], size[number, slot] = own, len(sets)
                reached[number, slot, : len(sets)] = sets
                for start, end, leaves_reached in ranges[one.word][own]:
                    numbers[start:end, number] = step * sets.index(leaves_reached & one.mask)
                step *= len(sets)
        fragment = np.repeat(np.arange(len(fragments)), [one.leaves for one in fragments])
        return cls(leaves, fragment, feature, size, reached, numbers)

    @property
    def answers(self) -> Places:
        """Number of answers of each fragment, shape (fragments,)."""
        answers: Places = self.size.prod(axis=1)
        return answers

    def table(self, paths: Paths, bit: Places) -> Floats:
        """Return the Shapley values of each answer of all fragments, shape (answers, slots)."""
        step = np.cumprod(self.size, axis=1) // self.size
        slots, answers = self.feature.shape[1], self.answers
        starts = np.cumsum(answers) - answers
        table = np.zeros(int(answers.sum()) * slots)
        # The slot of the fragment for each slot of a path. An unused one adds 0 to any, since each order passes it.
        column = (self.feature[self.fragment, None] == paths.feature.T[self.leaves][..., None]).argmax(axis=2)
        pairs = answers[self.fragment]
        ends, total = np.cumsum(pairs), int(pairs.sum())
        for start in range(0, total, _CHUNK):
            pair = np.arange(start, min(start + _CHUNK, total))
            own = np.searchsorted(ends, pair, side="right")
            leaf, fragment = self.leaves[own], self.fragment[own]
            answer = pair - ends[own] + pairs[own]
            place = fragment, column[own].T
            reached = self.reached[*place, answer // step[place] % self.size[place]]
            passed = (reached >> bit[leaf].astype(np.uint64)) & np.uint64(1) > 0
            passed |= paths.feature[:, leaf] == paths.features
            values = shapley(passed, paths.share[:, leaf]) * paths.value[leaf]
            np.add.at(table, (starts[fragment] + answer) * slots + place[1], values)
        return table.reshape(-1, slots)


@dataclass
class _Fragment:
    """Some leaves of a word: their number, their bits, and the number of sets of each feature's bins."""

    word: int
    leaves: int
    mask: int
    counts: dict[int, int]


def _fragments(
    paths: Paths, bits: LeafBits, ranges: Sequence[Mapping[int, _Ranges]], leaves: Places
) -> Iterator[_Fragment]:
    """Yield fragments from left to right, each with as many leaves as possible."""
    features = [[one for one in path if one < paths.features] for path in paths.feature.T[leaves].tolist()]
    found: _Fragment | None = None
    for word, bit, own in zip(bits.word[leaves].tolist(), bits.bit[leaves].tolist(), features, strict=True):
        if found and found.word == word:
            mask = found.mask | 1 << bit
            counts = found.counts | {one: len(_sets(ranges[word][one], mask)) for one in own}
            if prod(counts.values()) <= MAX_ANSWERS:
                found = _Fragment(word, found.leaves + 1, mask, counts)
                continue
        if found:
            yield found
        found = _Fragment(word, 1, 1 << bit, {one: len(_sets(ranges[word][one], 1 << bit)) for one in own})
    if found:
        yield found


def _sets(ranges: _Ranges, mask: int) -> list[int]:
    """Return the distinct sets of leaves that ranges of bins reach, among those of a mask."""
    return list(dict.fromkeys(reached & mask for _, _, reached in ranges))


def _ranges(bits: LeafBits, bins: Sequence[int]) -> list[dict[int, _Ranges]]:
    """Return the ranges of each feature's bins for each word."""
    by_bin, starts = bits.by_bin, np.cumsum([0, *bins])
    begins = np.ones(by_bin.shape, dtype=bool)
    begins[1:] = by_bin[1:] != by_bin[:-1]
    begins[starts[:-1]] = True
    words, rows = np.nonzero(begins.T)
    ends = np.append(rows[1:], 0)
    ends[ends == 0] = len(by_bin)
    features = np.searchsorted(starts, rows, side="right") - 1
    ranges: list[dict[int, _Ranges]] = [{} for _ in range(by_bin.shape[1])]
    columns = (words, features, rows, ends, by_bin[rows, words])
    for word, feature, row, end, reached in zip(*(column.tolist() for column in columns), strict=True):
        ranges[word].setdefault(feature, []).append((row, end, reached))
    return ranges
