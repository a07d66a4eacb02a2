"""LightGBM's trees as it exports them, and the meaning of their splits for known and unknown values."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ml_server.model.bins import Thresholds

Split = dict[str, Any]
CHILDREN = ("left_child", "right_child")


class Booster(Protocol):
    """Required methods of lightgbm.Booster."""

    def dump_model(self, num_iteration: int | None = None) -> dict[str, Any]:
        """Return the model as nested dictionaries."""

    def num_model_per_iteration(self) -> int:
        """Return the number of trees in a round: one for each class, or one for two classes."""


def trees_of(booster: Booster, classes: int, rounds: int | None = None) -> list[tuple[int, Split]]:
    """Return the trees of a booster's first `rounds` rounds (default: all), each with the class whose score it adds to.

    Raises ValueError if there are none, or not the same number for each class.
    """
    trees = [tree["tree_structure"] for tree in booster.dump_model(num_iteration=rounds)["tree_info"]]
    per_round = 1 if classes == 2 and booster.num_model_per_iteration() == 1 else classes
    if not trees or len(trees) % per_round:
        raise ValueError(f"{len(trees)} trees are none or not the same number for each of {classes} classes")
    # A single score is that of the second of two classes.
    return [(number % classes if per_round == classes else 1, tree) for number, tree in enumerate(trees)]


def is_leaf(tree: Split) -> bool:
    """Return whether a node is a leaf."""
    return "leaf_value" in tree


def splits_of(tree: Split) -> Iterator[Split]:
    """Yield the split nodes of a tree. Raises ValueError for kinds of splits that our models do not have."""
    if is_leaf(tree):
        return
    if tree["decision_type"] != "<=" or tree["missing_type"] not in ("None", "NaN"):
        raise ValueError("splits by category, or with zero as missing, are not supported")
    yield tree
    for side in CHILDREN:
        yield from splits_of(tree[side])


def thresholds_of(splits: Sequence[Split], features: int) -> Thresholds:
    """Return the thresholds of each feature that occur in splits."""
    used: list[set[float]] = [set() for _ in range(features)]
    for split in splits:
        used[split["split_feature"]].add(split["threshold"])
    return tuple((-np.inf, *sorted(known)) for known in used)


def last_left(split: Split, thresholds: Thresholds) -> int:
    """Return the last bin that goes left: bin b contains the values above thresholds[b - 1] up to thresholds[b]."""
    return bisect_right(thresholds[split["split_feature"]], split["threshold"], 1) - 1


def unknown_goes_left(split: Split) -> bool:
    """Return whether bin 0 goes left. If training had no unknown values, LightGBM treats an unknown as 0."""
    return bool(split["default_left"] if split["missing_type"] == "NaN" else split["threshold"] >= 0)
