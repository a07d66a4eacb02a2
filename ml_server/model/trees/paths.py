"""Paths from roots to leaves, and the Shapley values of the features on them.

An order reaches a leaf if it satisfies every split on the leaf's path. If a coalition does not contain a feature, its
splits are satisfied by chance, with the frequency of the training rows (Lundberg and others, Consistent Individualized
Feature Attribution for Tree Ensembles, 2018: path-dependent TreeSHAP). A coalition's share of the leaf is then a
product with one factor for each feature on the path: 1 or 0 if the coalition contains it, `share` otherwise. The
Shapley value of a product

    value * integral over t from 0 to 1 of (o_i - share_i) * product over the other j of (share_j + t * (o_j - share_j))

is a polynomial in t, which Gauss-Legendre with half as many points as features integrates exactly. So many leaves are
processed at once by array operations, instead of the usual recursion over nodes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Floats, Places
from ml_server.model.trees.nodes import LEAF, Trees

_Limits = tuple[float, float, bool, float]
"""`low`, `high`, `unknown` and `share` of a slot."""
_Path = dict[int, _Limits]


@dataclass(frozen=True)
class Paths:
    """The paths to all leaves, tree by tree from left to right: arrays of shape (slots, leaves), with a slot for each
    distinct feature on a path, and of shape (leaves,).

    An order passes a slot if its bin is above `low` and at most `high`, or is unknown and `unknown` is set. An unused
    slot of a path has the number after the last feature, and every order passes it.
    """

    features: int
    classes: int
    feature: Places
    low: Places
    high: Places
    unknown: NDArray[np.bool_]
    share: Floats
    value: Floats
    class_of: Places
    tree: Places

    @classmethod
    def of(cls, trees: Trees) -> "Paths":
        """Return the paths of some trees."""
        bins = [len(known) for known in trees.thresholds]
        paths: list[_Path] = []
        leaves, tree = [], []
        for number, root in enumerate(trees.roots.tolist()):
            for leaf, path in _paths(trees, root, bins):
                paths.append(path)
                leaves.append(leaf)
                tree.append(number)
        slots, unused = max(1, *map(len, paths)) if len(paths) > 1 else 1, (len(bins), (0, 0, True, 1.0))
        padded = [[*path.items(), *[unused] * (slots - len(path))] for path in paths]
        limits = np.array([[limits for _, limits in path] for path in padded], dtype=np.float64).transpose(2, 1, 0)
        return cls(
            features=len(bins),
            classes=trees.classes,
            feature=np.array([[feature for feature, _ in path] for path in padded], dtype=np.intp).T,
            low=limits[0].astype(np.intp),
            high=limits[1].astype(np.intp),
            unknown=limits[2] > 0,
            share=limits[3],
            value=trees.value[leaves],
            class_of=trees.class_of[tree],
            tree=np.array(tree, dtype=np.intp),
        )

    def select(self, leaves: Places) -> "Paths":
        """Return the paths to some leaves."""
        arrays: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)[2:]}
        return replace(self, **{name: array[..., leaves] for name, array in arrays.items()})

    def passed(self, bins: Places) -> NDArray[np.bool_]:
        """Return which slots an order passes, shape (slots, leaves), for the bins of its features."""
        known = np.append(bins, 0)[self.feature]
        return np.where(known == 0, self.unknown, (known > self.low) & (known <= self.high))

    def expected(self) -> Floats:
        """Return the mean score of each class over the training rows, shape (classes,)."""
        return np.bincount(self.class_of, self.value * self.share.prod(axis=0), self.classes).astype(np.float64)


def shapley(passed: NDArray[np.bool_], share: Floats) -> Floats:
    """Return the Shapley values of slots for leaves of value 1; all arrays have the shape (slots, leaves)."""
    steps = passed - share
    summed = np.zeros_like(steps)
    points, weights = np.polynomial.legendre.leggauss((len(steps) + 1) // 2)
    for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
        # Never 0: a share is above 0, and t is between 0 and 1.
        factors = share + point * steps
        summed += weight * factors.prod(axis=0) / factors
    summed *= steps
    return summed


def _paths(trees: Trees, root: int, bins: list[int]) -> Iterator[tuple[int, _Path]]:
    """Yield each leaf of a tree from left to right, with the limits of its path on each feature; `bins` are the last
    bins.
    """
    waiting: list[tuple[int, _Path]] = [(root, {})]
    while waiting:
        node, path = waiting.pop()
        feature = int(trees.feature[node])
        if feature == LEAF:
            yield node, path
            continue
        low, high, unknown, share = path.get(feature) or (0, bins[feature], True, 1.0)
        cut, unknown_left = int(trees.cut[node]), bool(trees.unknown_left[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        to_left, to_right = (share * float(trees.count[child] / trees.count[node]) for child in (left, right))
        waiting += [
            (right, {**path, feature: (max(low, cut), high, unknown and not unknown_left, to_right)}),
            (left, {**path, feature: (low, min(high, cut), unknown and unknown_left, to_left)}),
        ]
