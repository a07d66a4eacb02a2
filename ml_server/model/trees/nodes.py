"""Parameters of the model of deeper trees: arrays of nodes, stored as readable JSON."""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_server.model.bins import GRID, Floats, Places, check_thresholds

LEAF = -1
"""The feature of a leaf."""
_WHOLE = ("roots", "class_of", "feature", "cut", "left", "right")
_NUMBERS = ("count", "value")


@dataclass(frozen=True)
class Trees:
    """The nodes of all trees, in one array each, shape (nodes,); children follow their parents.

    thresholds: of each feature, as in `model.bins`.
    roots, class_of: first node of each tree, and the class whose score it adds to, shape (trees,).
    feature: the feature that a node tests, LEAF for none.
    cut: the last bin that goes left. Bin 0, unknown, goes left if `unknown_left`.
    left, right: the children; a leaf's are itself.
    count: training rows that reached the node, at least 1.
    value: the value that a leaf adds; 0 elsewhere.
    """

    thresholds: tuple[tuple[float, ...], ...]
    classes: int
    roots: Places
    class_of: Places
    feature: Places
    cut: Places
    unknown_left: NDArray[np.bool_]
    left: Places
    right: Places
    count: Floats
    value: Floats

    def __post_init__(self) -> None:
        """Raise ValueError if a traversal could leave the nodes or never end."""
        check_thresholds(self.thresholds)
        nodes, own = len(self.feature), np.arange(len(self.feature))
        lengths = {len(array) for array in (self.cut, self.unknown_left, self.left, self.right, self.count, self.value)}
        if lengths != {nodes} or not len(self.roots) or len(self.class_of) != len(self.roots):
            raise ValueError("the arrays of the trees are of different lengths")
        leaf = self.feature == LEAF
        if self.feature.min() < LEAF or self.feature.max() >= len(self.thresholds):
            raise ValueError("a node has an unknown feature")
        if not np.all(np.where(leaf, (self.left == own) & (self.right == own), (self.left > own) & (self.right > own))):
            raise ValueError("a node's children must follow it, and a leaf's must be itself")
        if max(self.left.max(), self.right.max(), self.roots.max()) >= nodes or self.roots.min() < 0:
            raise ValueError("a tree has an unknown root node")
        if self.class_of.min() < 0 or self.class_of.max() >= self.classes:
            raise ValueError("a tree has an unknown class")
        if not np.isfinite(self.value).all() or not np.all(self.count >= 1):
            raise ValueError("leaves need finite values and nodes at least one row")

    def on_grid(self) -> "Trees":
        """Return the trees with values rounded to GRID, so that sums are exact in any order."""
        return replace(self, value=np.round(self.value / GRID) * GRID)

    def dump(self) -> bytes:
        """Return JSON for `parse`. Equal trees give equal bytes."""
        arrays = {name: getattr(self, name).tolist() for name in (*_WHOLE, "unknown_left", *_NUMBERS)}
        known = [array[1:] for array in self.thresholds]  # JSON has no -inf, the first of each
        return json.dumps({"classes": self.classes, "thresholds": known, **arrays}, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, content: bytes) -> "Trees":
        """Load trees from bytes. Raises ValueError, KeyError or TypeError for invalid bytes."""
        values = json.loads(content)
        arrays: dict[str, Any] = {
            **{name: np.array(values[name], dtype=np.intp) for name in _WHOLE},
            **{name: np.array(values[name], dtype=np.float64) for name in _NUMBERS},
            "unknown_left": np.array(values["unknown_left"], dtype=np.bool_),
        }
        thresholds = tuple((-np.inf, *map(float, array)) for array in values["thresholds"])
        return cls(thresholds, int(values["classes"]), **arrays)
