"""Trees of depth 2 into tables, exactly, and tables into parts that mean something by themselves.

A tree asks its root's feature, then on each side one more: two tables over two features each. Tables of the same features
are summed. Then what a table of two features says about one of them alone is moved to that feature's own table, until
over the training rows every table's mean is zero along each of its features (functional analysis of variance; Hooker,
Generalized Functional ANOVA Diagnostics, 2007). The sums stay; only now a contribution is a distance from the average
order, and a pair holds nothing but the interplay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_server.inputs import Numbers
from ml_server.terms import Terms, binned

Pair = tuple[int, int]
_ROUNDS = 60
_UNKNOWN, _NONE, _NAN = 0, 0, 2  # our bin; LightGBM's missing types


@dataclass(frozen=True)
class _Tree:
    features: list[int]
    thresholds: list[float]
    decisions: list[int]
    left: list[int]
    right: list[int]
    leaves: list[float]


def collapse(model: str, classes: int, features: int, rows: Numbers) -> Terms:
    """Terms of a LightGBM model in its text format; `rows` (rows, features) say what is average.

    Raises ValueError for trees that are deeper than 2 or split categories.
    """
    trees = list(_trees(model))
    if not trees or len(trees) % classes:
        raise ValueError(f"{len(trees)} trees are none or not the same number for each of {classes} classes")
    used: list[set[float]] = [set() for _ in range(features)]
    for tree in trees:
        for feature, threshold in zip(tree.features, tree.thresholds, strict=True):
            used[feature].add(threshold)
    thresholds = tuple((-np.inf, *sorted(each)) for each in used)
    tables: dict[Pair, Numbers] = {}
    base = np.zeros(classes)
    for number, tree in enumerate(trees):
        kind = number % classes
        if not tree.features:
            base[kind] += tree.leaves[0]
            continue
        for goes, child in zip(_sides(tree, 0, thresholds), (tree.left[0], tree.right[0]), strict=True):
            root = tree.features[0]
            if child < 0:
                _table(tables, (root, root), thresholds, classes)[:, 0, kind] += goes * tree.leaves[~child]
                continue
            other = tree.features[child]
            lower, upper = _sides(tree, child, thresholds)
            values = lower * tree.leaves[~tree.left[child]] + upper * tree.leaves[~tree.right[child]]
            if other == root:
                _table(tables, (root, root), thresholds, classes)[:, 0, kind] += goes * values
            elif root < other:
                _table(tables, (root, other), thresholds, classes)[:, :, kind] += np.outer(goes, values)
            else:
                _table(tables, (other, root), thresholds, classes)[:, :, kind] += np.outer(values, goes)
    base += _centre(tables, thresholds, classes, rows)
    order = sorted(tables)
    cells = [tables[pair].reshape(-1, classes) for pair in order]
    first, second = (np.array([pair[place] for pair in order], dtype=np.intp) for place in (0, 1))
    return Terms.of(thresholds, first, second, np.concatenate(cells), base)


def _table(tables: dict[Pair, Numbers], pair: Pair, thresholds: Sequence[Sequence[float]], classes: int) -> Numbers:
    if pair not in tables:
        first, second = (len(thresholds[place]) + 1 for place in pair)
        tables[pair] = np.zeros((first, 1 if pair[0] == pair[1] else second, classes))
    return tables[pair]


def _sides(tree: _Tree, node: int, thresholds: Sequence[Sequence[float]]) -> tuple[Numbers, Numbers]:
    """1 for the bins that go left, and for those that go right."""
    known = thresholds[tree.features[node]]
    # Bin b holds the values over thresholds[b - 1] up to thresholds[b]: it goes left when its upper end does.
    left = np.array([0.0, *(upper <= tree.thresholds[node] for upper in known[1:]), 0.0])
    missing, default_left = tree.decisions[node] >> 2 & 3, bool(tree.decisions[node] & 2)
    if tree.decisions[node] & 1 or missing not in (_NONE, _NAN):
        raise ValueError("a split by category, or by zero as missing, has no table here")
    left[_UNKNOWN] = default_left if missing == _NAN else tree.thresholds[node] >= 0
    return left, 1 - left


def _trees(model: str) -> Iterator[_Tree]:
    for text in re.split(r"^Tree=\d+$", model, flags=re.MULTILINE)[1:]:
        body = text.partition("\nend of trees")[0]
        found = dict(line.split("=", 1) for line in body.splitlines() if "=" in line)
        tree = _Tree(
            [int(value) for value in found.get("split_feature", "").split()],
            [float(value) for value in found.get("threshold", "").split()],
            [int(value) for value in found.get("decision_type", "").split()],
            [int(value) for value in found.get("left_child", "").split()],
            [int(value) for value in found.get("right_child", "").split()],
            [float(value) for value in found["leaf_value"].split()],
        )
        deeper = [child for node in range(1, len(tree.features)) for child in (tree.left[node], tree.right[node])]
        if any(child >= 0 for child in deeper):
            raise ValueError("a tree is deeper than 2: it has no tables of two features")
        yield tree


def _centre(
    tables: dict[Pair, Numbers], thresholds: Sequence[Sequence[float]], classes: int, rows: Numbers
) -> NDArray[np.float64]:
    """Move means out of all tables, in place; the mean of everything is returned."""
    bins = np.stack([binned(rows[:, place], each) for place, each in enumerate(thresholds)])
    for pair in [pair for pair in tables if pair[0] != pair[1]]:
        table = tables[pair]
        height, width, _ = table.shape
        weights = np.bincount(bins[pair[0]] * width + bins[pair[1]], minlength=height * width).reshape(height, width)
        by_first, by_second = (weights / np.maximum(weights.sum(axis=axis, keepdims=True), 1) for axis in (1, 0))
        first, second = np.zeros((height, classes)), np.zeros((width, classes))
        for _ in range(_ROUNDS):
            rest = table - first[:, None] - second[None]
            first += (step := np.einsum("ij,ijk->ik", by_first, rest))
            rest -= step[:, None]
            second += (other := np.einsum("ij,ijk->jk", by_second, rest))
            if max(np.abs(step).max(), np.abs(other).max()) < 1e-9:
                break
        table -= first[:, None] + second[None]
        _table(tables, (pair[0], pair[0]), thresholds, classes)[:, 0] += first
        _table(tables, (pair[1], pair[1]), thresholds, classes)[:, 0] += second
    base = np.zeros(classes)
    for place in [pair[0] for pair in tables if pair[0] == pair[1]]:
        table = tables[place, place]
        share = np.bincount(bins[place], minlength=len(table)) / max(len(rows), 1)
        mean = share @ table[:, 0]
        table -= mean
        base += mean
    return base
