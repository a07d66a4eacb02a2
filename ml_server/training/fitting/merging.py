"""Merges several LightGBM models over codes into one over values, their average, as an ordinary model text.

A split of codes at t sends codes up to floor(t) left, which are the values up to cut number floor(t).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np

from ml_server.features.sources import Numbers

_BEYOND = 1e300


def merge_boosters(boosters: Sequence[lgb.Booster], cuts: Sequence[Numbers], rounds: int | None = None) -> lgb.Booster:
    """Return one booster over values whose raw score is the mean of `boosters`, which read codes."""
    texts = [booster.model_to_string(num_iteration=rounds) for booster in boosters]
    header = texts[0][: texts[0].index("\nTree=")]
    lines = [line for line in header.splitlines() if not line.startswith("tree_sizes=")]
    number = 0
    for text in texts:
        body = text[text.index("\nTree=") + 1 : text.index("\nend of trees")]
        for tree in body.split("Tree=")[1:]:
            lines += ["", f"Tree={number}", *_tree(tree.splitlines()[1:], cuts, len(texts))]
            number += 1
    return lgb.Booster(model_str="\n".join([*lines, "", "end of trees", ""]))


def _tree(lines: Sequence[str], cuts: Sequence[Numbers], bags: int) -> Iterator[str]:
    features: list[int] = []
    for line in lines:
        name, _, content = line.partition("=")
        if name == "split_feature":
            features = [int(part) for part in content.split()]
        if name == "threshold":
            parts = (_value(cuts[feature], float(at)) for feature, at in zip(features, content.split(), strict=True))
            yield f"{name}={' '.join(map(repr, parts))}"
        elif name == "leaf_value":
            yield f"{name}={' '.join(repr(float(part) / bags) for part in content.split())}"
        else:
            yield line


def _value(cuts: Numbers, code: float) -> float:
    """Return the cut at a split of codes; above all of them if only unknown values go right."""
    return float(cuts[int(code)]) if code < len(cuts) else _BEYOND


def raw_scores(predict: Callable[..., Any], matrix: Numbers) -> Numbers:
    """Return class scores before softmax, shape (rows, classes); a single score is that of the second class."""
    scores = np.asarray(predict(matrix, raw_score=True))
    return scores if scores.ndim == 2 else np.stack([np.zeros(len(scores)), scores], axis=1)
