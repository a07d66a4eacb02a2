"""Exact conversion of LightGBM's trees of depth 2 to terms.

A tree tests its root's feature, then one more on each side, which gives two tables over two features each. Tables of
the same features are summed, and `purify` separates the effects of single features.
"""

from collections.abc import Sequence

import numpy as np

from ml_server.features.sources import Numbers
from ml_server.model.bins import Thresholds
from ml_server.model.booster import (
    CHILDREN,
    Booster,
    Split,
    is_leaf,
    last_left,
    splits_of,
    thresholds_of,
    trees_of,
    unknown_goes_left,
)
from ml_server.model.tables.purify import Pair, purify, table_of
from ml_server.model.tables.terms import Terms

_UNKNOWN = 0  # our bin


def terms_of(booster: Booster, classes: int, features: int, rows: Numbers, rounds: int | None = None) -> Terms:
    """Return the terms of a LightGBM model's first `rounds` rounds (default: all); `rows` (rows, features) define the
    average.

    Raises ValueError for trees that are deeper than 2 or split by categories.
    """
    trees = trees_of(booster, classes, rounds)
    thresholds = thresholds_of([split for _, tree in trees for split in _splits(tree)], features)
    tables: dict[Pair, Numbers] = {}
    base = np.zeros(classes)
    for of_class, tree in trees:
        if is_leaf(tree):
            base[of_class] += tree["leaf_value"]
        else:
            _add(tables, tree, thresholds, of_class, classes)
    base += purify(tables, thresholds, classes, rows)
    pairs = sorted(tables)
    cells = [tables[pair].reshape(-1, classes) for pair in pairs]
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    return Terms.of(thresholds, first, second, np.concatenate(cells), base)


def _add(tables: dict[Pair, Numbers], tree: Split, thresholds: Thresholds, of_class: int, classes: int) -> None:
    """Add a tree to the tables of its features."""
    root = tree["split_feature"]
    for goes, child in zip(_sides(tree, thresholds), (tree[side] for side in CHILDREN), strict=True):
        if is_leaf(child):
            table_of(tables, (root, root), thresholds, classes)[:, 0, of_class] += goes * child["leaf_value"]
            continue
        other = child["split_feature"]
        lower, upper = _sides(child, thresholds)
        values = lower * child["left_child"]["leaf_value"] + upper * child["right_child"]["leaf_value"]
        if other == root:
            table_of(tables, (root, root), thresholds, classes)[:, 0, of_class] += goes * values
        elif root < other:
            table_of(tables, (root, other), thresholds, classes)[:, :, of_class] += np.outer(goes, values)
        else:
            table_of(tables, (other, root), thresholds, classes)[:, :, of_class] += np.outer(values, goes)


def _sides(split: Split, thresholds: Thresholds) -> tuple[Numbers, Numbers]:
    """Return 1 for the bins that go left and 0 for others, and the reverse for the right."""
    left = np.zeros(len(thresholds[split["split_feature"]]) + 1)
    left[1 : 1 + last_left(split, thresholds)] = 1
    left[_UNKNOWN] = unknown_goes_left(split)
    return left, 1 - left


def _splits(tree: Split) -> Sequence[Split]:
    """Return the split nodes of a tree; raise ValueError for splits that no table can represent."""
    if any(not is_leaf(tree[side][below]) for side in _inner(tree) for below in CHILDREN):
        raise ValueError("a tree is deeper than 2, and cannot be converted to tables of two features")
    return list(splits_of(tree))


def _inner(tree: Split) -> list[str]:
    """Return the sides of a tree that contain another split."""
    return [] if is_leaf(tree) else [side for side in CHILDREN if not is_leaf(tree[side])]
