"""Exact posterior: the probability of each pattern, given everything visible in a row.

    P(pattern | row)  ~  P(pattern) * P(hour | pattern) * product over nodes of P(node | parents, pattern)

A hidden node is summed out together with the nodes that depend on it. Nodes that are equal in all patterns cancel, and
so does everything drawn inside a bin. The rows contain few combinations of the children's values, so the sum is
computed once for each combination, not for each row.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from data_gen.language.pattern import PatternError
from data_gen.language.timeline import Timeline, hour_of_week
from data_gen.language.variables import Codes, domain_of, inputs_of, read
from data_gen.network.compile import Network, Node
from data_gen.network.draw import configuration

LogTable = NDArray[np.float64]
_BLOCK = 8192  # rows processed at once, so that the running sums fit the cache


class Posterior:
    """Log-probabilities of the patterns for rows drawn from a network in a time span."""

    def __init__(self, network: Network, prior: NDArray[np.float64], start: int, end: int) -> None:
        """Prepare the tables. `prior`: share of each pattern in the whole file, shape (patterns,)."""
        self.network = network
        self._used = np.flatnonzero(prior > 0)  # patterns without rows need no columns
        self.plain = [
            (node, self._log_probability(node))
            for node in network.nodes
            if node.informative and node.name not in network.hidden and not set(node.parents) & network.hidden
        ]
        self.sums = [
            _Hidden(node, network, self._log_probability) for node in network.nodes if node.name in network.hidden
        ]
        used = [network.patterns[place] for place in self._used]
        self._is_abuse = np.array([pattern.is_abuse for pattern in used])
        self.by_hour = np.stack(
            [
                np.log(pattern.week.weights / Timeline(pattern.week, start, end).total) + np.log(share)
                for pattern, share in zip(used, prior[self._used], strict=True)
            ],
            axis=1,
        )

    def _log_probability(self, node: Node) -> LogTable:
        """Return a node's table for the patterns with rows."""
        table = node.log_probability
        return table if len(self._used) == table.shape[1] else np.ascontiguousarray(table[:, self._used])

    def log_joint(self, codes: Mapping[str, Codes], times: NDArray[np.int64]) -> LogTable:
        """Return log P(pattern, row) without factors that are equal in all patterns: shape (rows, patterns with rows)."""
        rows = len(times)
        result = np.empty((rows, len(self._used)))
        hours = hour_of_week(times)
        indices = [
            (table, configuration(node, codes) * node.domain.size + codes[node.name]) for node, table in self.plain
        ]
        hidden = [one.sums(codes) for one in self.sums]
        for start in range(0, rows, _BLOCK):
            block = slice(start, start + _BLOCK)
            total = self.by_hour.take(hours[block], axis=0)
            for table, index in indices:
                total += table.take(index[block], axis=0)
            for combination, sums in hidden:
                total += sums.take(combination[block], axis=0)
            result[block] = total
        return result

    def abuse(self, codes: Mapping[str, Codes], times: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return P(abuse | row), shape (rows,)."""
        joint = self.log_joint(codes, times)
        joint -= joint.max(axis=1, keepdims=True)
        np.exp(joint, out=joint)
        result: NDArray[np.float64] = joint[:, self._is_abuse].sum(axis=1) / joint.sum(axis=1)
        return result


class _Hidden:
    """A hidden node with its children: summed out once for each combination of their visible values."""

    def __init__(self, node: Node, network: Network, log_probability: Callable[[Node], LogTable]) -> None:
        self.node, self.table = node, log_probability(node)
        self.children = [child for child in network.nodes if node.name in child.parents]
        self.child_tables = [log_probability(child) for child in self.children]
        visible: dict[str, None] = dict.fromkeys(node.parents)
        for child in self.children:
            visible |= dict.fromkeys(name for name in (child.name, *child.parents) if name != node.name)
        self.visible = list(visible)
        for name in self.visible:
            if set(inputs_of(name)) & network.hidden:
                raise PatternError(f"node {node.name}: it is connected to {name}, which is hidden too")

    def sums(self, codes: Mapping[str, Codes]) -> tuple[NDArray[np.intp], LogTable]:
        """Return each row's combination, and for each combination the log of the sum over the node's values."""
        key = np.zeros(len(next(iter(codes.values()))), dtype=np.int64)
        for name in self.visible:
            key = key * domain_of(name).size + read(name, codes)
        _, first, combination = np.unique(key, return_index=True, return_inverse=True)
        visible = {name: read(name, codes)[first] for name in self.visible}
        total = np.zeros((len(first), self.table.shape[1]))
        own = configuration(self.node, visible) * self.node.domain.size
        for value in range(self.node.domain.size):
            given = {**visible, self.node.name: np.full(len(first), value)}
            term = self.table[own + value] + np.zeros_like(total)
            for child, table in zip(self.children, self.child_tables, strict=True):
                place = configuration(child, given) * child.domain.size + visible[child.name]
                term += table.take(place, axis=0)
            total += np.exp(term)
        with np.errstate(divide="ignore"):
            return combination, np.log(total)
