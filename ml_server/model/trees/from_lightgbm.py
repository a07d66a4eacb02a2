"""Exact conversion of LightGBM's trees of any depth to arrays of nodes."""

import numpy as np

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
from ml_server.model.trees.nodes import LEAF, Trees


def forest_of(booster: Booster, classes: int, features: int, rounds: int | None = None) -> Trees:
    """Return the trees of a model's first `rounds` rounds (default: all). Raises ValueError for unsupported splits."""
    trees = trees_of(booster, classes, rounds)
    thresholds = thresholds_of([split for _, tree in trees for split in splits_of(tree)], features)
    nodes = _Nodes(thresholds)
    roots = [nodes.add(tree) for _, tree in trees]
    return Trees(
        thresholds,
        classes,
        roots=np.array(roots, dtype=np.intp),
        class_of=np.array([of_class for of_class, _ in trees], dtype=np.intp),
        feature=np.array(nodes.feature, dtype=np.intp),
        cut=np.array(nodes.cut, dtype=np.intp),
        unknown_left=np.array(nodes.unknown_left, dtype=np.bool_),
        left=np.array(nodes.left, dtype=np.intp),
        right=np.array(nodes.right, dtype=np.intp),
        count=np.array(nodes.count, dtype=np.float64),
        value=np.array(nodes.value, dtype=np.float64),
    )


class _Nodes:
    """Growing columns of nodes."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self.feature: list[int] = []
        self.cut: list[int] = []
        self.unknown_left: list[bool] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.count: list[int] = []
        self.value: list[float] = []

    def add(self, tree: Split) -> int:
        """Add a node and its descendants; return its number."""
        number = len(self.feature)
        leaf = is_leaf(tree)
        self.feature.append(LEAF if leaf else tree["split_feature"])
        self.cut.append(0 if leaf else last_left(tree, self._thresholds))
        self.unknown_left.append(leaf or unknown_goes_left(tree))
        # A tree with a single leaf has no count: every row reaches it.
        self.count.append(max(1, tree.get("leaf_count", 1) if leaf else tree["internal_count"]))
        self.value.append(tree["leaf_value"] if leaf else 0.0)
        self.left.append(number)
        self.right.append(number)
        if not leaf:
            self.left[number], self.right[number] = (self.add(tree[side]) for side in CHILDREN)
        return number
