"""Contributions of features to a forest's scores: Shapley values over all paths from a root to a leaf.

An order reaches a leaf if it satisfies every split on the leaf's path. If a coalition does not contain a feature, its
splits are satisfied by chance, with the frequency of the training rows (Lundberg and others, Consistent Individualized
Feature Attribution for Tree Ensembles, 2018: path-dependent TreeSHAP). A coalition's share of the leaf is then a
product with one factor for each feature on the path: 1 or 0 if the coalition contains it, `share` otherwise. The
Shapley value of a product

    value * integral over t from 0 to 1 of (o_i - share_i) * product over the other j of (share_j + t * (o_j - share_j))

is a polynomial in t, which Gauss-Legendre with half as many points as features integrates exactly. So all leaves of all
trees are processed at once by array operations, instead of the usual recursion over nodes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Floats, Places
from ml_server.model.trees.nodes import LEAF, Trees

_Limits = tuple[float, float, bool, float]
"""`low`, `high`, `unknown` and `share` of a slot."""
_Path = dict[int, _Limits]
_EVERYTHING: _Limits = (0, np.inf, True, 1.0)


@dataclass(frozen=True)
class Paths:
    """The paths to all leaves: arrays of shape (slots, leaves), with a slot for each distinct feature on a path.

    An order passes a slot if its bin is above `low` and at most `high`, or is unknown and `unknown` is set. An unused
    slot of a path has the number after the last feature, and every order passes it.
    """

    features: int
    classes: int
    feature: Places
    low: Floats
    high: Floats
    unknown: NDArray[np.bool_]
    share: Floats
    value: Floats
    class_of: Places

    @classmethod
    def of(cls, trees: Trees) -> "Paths":
        """Return the paths of some trees."""
        paths: list[_Path] = []
        values, classes = [], []
        for root, of_class in zip(trees.roots.tolist(), trees.class_of.tolist(), strict=True):
            for leaf, path in _paths(trees, root):
                paths.append(path)
                values.append(float(trees.value[leaf]))
                classes.append(of_class)
        slots = max(1, *map(len, paths)) if len(paths) > 1 else 1
        padded = [[*path.items(), *[(len(trees.thresholds), _EVERYTHING)] * (slots - len(path))] for path in paths]
        limits = np.array([[limits for _, limits in path] for path in padded], dtype=np.float64).transpose(2, 1, 0)
        return cls(
            features=len(trees.thresholds),
            classes=trees.classes,
            feature=np.array([[feature for feature, _ in path] for path in padded], dtype=np.intp).T,
            low=limits[0],
            high=limits[1],
            unknown=limits[2] > 0,
            share=limits[3],
            value=np.array(values),
            class_of=np.array(classes, dtype=np.intp),
        )

    def expected(self) -> Floats:
        """Return the mean score of each class over the training rows, shape (classes,)."""
        return np.bincount(self.class_of, self.value * self.share.prod(axis=0), self.classes).astype(np.float64)

    def shapley(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """Return the contributions of features for one row's bins, weighted by class slopes: shape (features,)."""
        known = np.array([*bins, 0], dtype=np.intp)[self.feature]
        passes = np.where(known == 0, self.unknown, (known > self.low) & (known <= self.high))
        steps = passes - self.share
        summed = np.zeros_like(steps)
        points, weights = np.polynomial.legendre.leggauss((len(steps) + 1) // 2)
        for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            # Never 0: a share is above 0, and t is between 0 and 1.
            factors = self.share + point * steps
            summed += weight * factors.prod(axis=0) / factors
        summed *= steps * (self.value * np.asarray(slopes)[self.class_of])
        by_feature: Floats = np.bincount(self.feature.ravel(), summed.ravel(), self.features + 1)[:-1].astype(
            np.float64
        )
        return by_feature


def _paths(trees: Trees, root: int) -> Iterator[tuple[int, _Path]]:
    """Yield each leaf of a tree, with the conditions of its path on each feature."""
    waiting: list[tuple[int, _Path]] = [(root, {})]
    while waiting:
        node, path = waiting.pop()
        feature = int(trees.feature[node])
        if feature == LEAF:
            yield node, path
            continue
        low, high, unknown, share = path.get(feature, _EVERYTHING)
        cut, unknown_left = int(trees.cut[node]), bool(trees.unknown_left[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        to_left, to_right = (share * float(trees.count[child] / trees.count[node]) for child in (left, right))
        waiting += [
            (right, {**path, feature: (max(low, cut), high, unknown and not unknown_left, to_right)}),
            (left, {**path, feature: (low, min(high, cut), unknown and unknown_left, to_left)}),
        ]
