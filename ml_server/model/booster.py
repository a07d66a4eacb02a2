"""LightGBM's trees as it hands them out, and what their splits mean for values and for unknown ones."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from ml_server.model.bins import Thresholds

Split = dict[str, Any]
CHILDREN = ("left_child", "right_child")


class Booster(Protocol):
    """What is needed of lightgbm.Booster."""

    def dump_model(self, num_iteration: int | None = None) -> dict[str, Any]:
        """The model as nested dictionaries."""

    def num_model_per_iteration(self) -> int:
        """Trees of a round: one for each class, or one alone for two classes."""


def trees_of(booster: Booster, classes: int, rounds: int | None = None) -> list[tuple[int, Split]]:
    """The trees of a booster, of its first `rounds` where given, each with the class whose score it adds to.

    Raises ValueError where there are none, or not the same number for each class.
    """
    trees = [tree["tree_structure"] for tree in booster.dump_model(num_iteration=rounds)["tree_info"]]
    per_round = 1 if classes == 2 and booster.num_model_per_iteration() == 1 else classes
    if not trees or len(trees) % per_round:
        raise ValueError(f"{len(trees)} trees are none or not the same number for each of {classes} classes")
    # One score alone is that of the second of two classes.
    return [(number % classes if per_round == classes else 1, tree) for number, tree in enumerate(trees)]


def is_leaf(tree: Split) -> bool:
    """Whether it asks nothing."""
    return "leaf_value" in tree


def splits_of(tree: Split) -> Iterator[Split]:
    """The nodes of a tree that split. Raises ValueError for a kind of split that LightGBM has and our models do not."""
    if is_leaf(tree):
        return
    if tree["decision_type"] != "<=" or tree["missing_type"] not in ("None", "NaN"):
        raise ValueError("a split by category, or by zero as missing, has no place here")
    yield tree
    for side in CHILDREN:
        yield from splits_of(tree[side])


def thresholds_of(splits: Sequence[Split], features: int) -> Thresholds:
    """Those that splits ask for, of each feature."""
    used: list[set[float]] = [set() for _ in range(features)]
    for split in splits:
        used[split["split_feature"]].add(split["threshold"])
    return tuple((-np.inf, *sorted(known)) for known in used)


def last_left(split: Split, thresholds: Thresholds) -> int:
    """The last bin that goes left: bin b holds the values over thresholds[b - 1] up to thresholds[b]."""
    return bisect_right(thresholds[split["split_feature"]], split["threshold"], 1) - 1


def unknown_goes_left(split: Split) -> bool:
    """Where bin 0 goes. Where no unknowns were seen in training, LightGBM reads an unknown as 0."""
    return bool(split["default_left"] if split["missing_type"] == "NaN" else split["threshold"] >= 0)
