"""What each feature adds to a forest's scores: Shapley values over all ways from a root to a leaf.

A leaf's value reaches an order for which every question on its way is answered so. Where a feature is not known to a coalition,
its questions are answered by chance, as often as the training rows did (Lundberg and others, Consistent Individualized Feature
Attribution for Tree Ensembles, 2018: path-dependent TreeSHAP). A coalition's share of the leaf is then a product with one
factor for each feature on the way: 1 or 0 where the feature is in it, `share` where it is not. The Shapley value of a product

    value * integral over t from 0 to 1 of (o_i - share_i) * product over the other j of (share_j + t * (o_j - share_j))

is a polynomial in t, which Gauss-Legendre with half as many points as there are features takes exactly. So all leaves of all
trees are done at once by array operations, where the usual recursion goes node after node.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import Floats, Places
from ml_server.model.trees.nodes import LEAF, Trees

_Limits = tuple[float, float, bool, float]
"""`low`, `high`, `unknown` and `share` of a slot."""
_Way = dict[int, _Limits]
_EVERYTHING: _Limits = (0, np.inf, True, 1.0)


@dataclass(frozen=True)
class Paths:
    """The ways to all leaves: arrays of shape (slots, leaves), a slot for each different feature on a way.

    An order passes a slot when its bin lies above `low` and up to `high`, or is unknown where `unknown` says so. A slot that a
    way does not need names the feature after the last one, and everything passes it.
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
        """The ways of some trees."""
        ways: list[_Way] = []
        values, classes = [], []
        for root, of_class in zip(trees.roots.tolist(), trees.class_of.tolist(), strict=True):
            for leaf, way in _ways(trees, root):
                ways.append(way)
                values.append(float(trees.value[leaf]))
                classes.append(of_class)
        slots = max(1, *map(len, ways)) if len(ways) > 1 else 1
        filled = [[*way.items(), *[(len(trees.thresholds), _EVERYTHING)] * (slots - len(way))] for way in ways]
        limits = np.array([[limits for _, limits in way] for way in filled], dtype=np.float64).transpose(2, 1, 0)
        return cls(
            features=len(trees.thresholds),
            classes=trees.classes,
            feature=np.array([[feature for feature, _ in way] for way in filled], dtype=np.intp).T,
            low=limits[0],
            high=limits[1],
            unknown=limits[2] > 0,
            share=limits[3],
            value=np.array(values),
            class_of=np.array(classes, dtype=np.intp),
        )

    def expected(self) -> Floats:
        """The mean score of each class over the training rows, shape (classes,)."""
        return np.bincount(self.class_of, self.value * self.share.prod(axis=0), self.classes).astype(np.float64)

    def shapley(self, bins: Sequence[int], slopes: Sequence[float]) -> Floats:
        """What each feature adds to the scores for one row's bins, weighted by the slopes of the classes: shape (features,)."""
        known = np.array([*bins, 0], dtype=np.intp)[self.feature]
        passes = np.where(known == 0, self.unknown, (known > self.low) & (known <= self.high))
        steps = passes - self.share
        summed = np.zeros_like(steps)
        points, weights = np.polynomial.legendre.leggauss((len(steps) + 1) // 2)
        for point, weight in zip(((points + 1) / 2).tolist(), (weights / 2).tolist(), strict=True):
            # Never 0: a share is more than 0, and t lies between 0 and 1.
            factors = self.share + point * steps
            summed += weight * factors.prod(axis=0) / factors
        summed *= steps * (self.value * np.asarray(slopes)[self.class_of])
        by_feature: Floats = np.bincount(self.feature.ravel(), summed.ravel(), self.features + 1)[:-1].astype(
            np.float64
        )
        return by_feature


def _ways(trees: Trees, root: int) -> Iterator[tuple[int, _Way]]:
    """Each leaf of a tree, and what the questions before it ask of each feature."""
    waiting: list[tuple[int, _Way]] = [(root, {})]
    while waiting:
        node, way = waiting.pop()
        feature = int(trees.feature[node])
        if feature == LEAF:
            yield node, way
            continue
        low, high, unknown, share = way.get(feature, _EVERYTHING)
        cut, unknown_left = int(trees.cut[node]), bool(trees.unknown_left[node])
        left, right = int(trees.left[node]), int(trees.right[node])
        to_left, to_right = (share * float(trees.count[child] / trees.count[node]) for child in (left, right))
        waiting += [
            (right, {**way, feature: (max(low, cut), high, unknown and not unknown_left, to_right)}),
            (left, {**way, feature: (low, min(high, cut), unknown and unknown_left, to_left)}),
        ]
