"""LightGBM's trees of depth 2 as terms, exactly.

A tree asks its root's feature, then on each side one more: two tables over two features each. Tables of the same features
are summed, and `purify` gives each part what it says by itself.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ml_server.features.sources import Numbers
from ml_server.model.purify import Pair, purify, table_of
from ml_server.model.terms import Terms

_UNKNOWN = 0  # our bin
Split = dict[str, Any]


class Booster(Protocol):
    """What is needed of lightgbm.Booster."""

    def dump_model(self, num_iteration: int | None = None) -> dict[str, Any]:
        """The model as nested dictionaries."""

    def num_model_per_iteration(self) -> int:
        """Trees of a round: one for each class, or one alone for two classes."""


def terms_of(booster: Booster, classes: int, features: int, rows: Numbers, rounds: int | None = None) -> Terms:
    """Terms of a LightGBM model, of its first `rounds` where given; `rows` (rows, features) say what is average.

    Raises ValueError for trees that are deeper than 2 or split by categories.
    """
    trees = [tree["tree_structure"] for tree in booster.dump_model(num_iteration=rounds)["tree_info"]]
    per_round = 1 if classes == 2 and booster.num_model_per_iteration() == 1 else classes
    if not trees or len(trees) % per_round:
        raise ValueError(f"{len(trees)} trees are none or not the same number for each of {classes} classes")
    used: list[set[float]] = [set() for _ in range(features)]
    for tree in trees:
        for split in _splits(tree):
            used[split["split_feature"]].add(split["threshold"])
    thresholds = tuple((-np.inf, *sorted(known)) for known in used)
    tables: dict[Pair, Numbers] = {}
    base = np.zeros(classes)
    for number, tree in enumerate(trees):
        place = number % classes if per_round == classes else 1  # one score alone is that of the second of two classes
        if "leaf_value" in tree:
            base[place] += tree["leaf_value"]
            continue
        _add(tables, tree, thresholds, place, classes)
    base += purify(tables, thresholds, classes, rows)
    pairs = sorted(tables)
    cells = [tables[pair].reshape(-1, classes) for pair in pairs]
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    return Terms.of(thresholds, first, second, np.concatenate(cells), base)


def _add(
    tables: dict[Pair, Numbers], tree: Split, thresholds: Sequence[Sequence[float]], place: int, classes: int
) -> None:
    """Add a tree of the class at `place` to the tables of its features."""
    root = tree["split_feature"]
    for goes, child in zip(_sides(tree, thresholds), (tree["left_child"], tree["right_child"]), strict=True):
        if "leaf_value" in child:
            table_of(tables, (root, root), thresholds, classes)[:, 0, place] += goes * child["leaf_value"]
            continue
        other = child["split_feature"]
        lower, upper = _sides(child, thresholds)
        values = lower * child["left_child"]["leaf_value"] + upper * child["right_child"]["leaf_value"]
        if other == root:
            table_of(tables, (root, root), thresholds, classes)[:, 0, place] += goes * values
        elif root < other:
            table_of(tables, (root, other), thresholds, classes)[:, :, place] += np.outer(goes, values)
        else:
            table_of(tables, (other, root), thresholds, classes)[:, :, place] += np.outer(values, goes)


def _sides(split: Split, thresholds: Sequence[Sequence[float]]) -> tuple[Numbers, Numbers]:
    """1 for the bins that go left, and for those that go right."""
    known = thresholds[split["split_feature"]]
    # Bin b holds the values over thresholds[b - 1] up to thresholds[b]: it goes left when its upper end does.
    left = np.zeros(len(known) + 1)
    left[1 : 1 + bisect_right(known, split["threshold"], 1) - 1] = 1
    # Where no unknowns were seen in training, LightGBM reads an unknown as 0.
    left[_UNKNOWN] = split["default_left"] if split["missing_type"] == "NaN" else split["threshold"] >= 0
    return left, 1 - left


def _splits(tree: Split) -> Iterator[Split]:
    """The nodes of a tree that split; raise ValueError for what has no table."""
    if "leaf_value" in tree:
        return
    below = [child for child in (tree["left_child"], tree["right_child"]) if "leaf_value" not in child]
    for split in (tree, *below):
        if split["decision_type"] != "<=" or split["missing_type"] not in ("None", "NaN"):
            raise ValueError("a split by category, or by zero as missing, has no table here")
        yield split
    if any("leaf_value" not in split[side] for split in below for side in ("left_child", "right_child")):
        raise ValueError("a tree is deeper than 2: it has no tables of two features")
