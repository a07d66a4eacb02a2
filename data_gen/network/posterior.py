"""The second interpreter of the declarations: the exact probability of each pattern, given all that a row shows.

    P(pattern | row)  ~  P(pattern) * P(hour | pattern) * product over nodes of P(node | parents, pattern)

The latent node is summed out together with the nodes that hang on it. Nodes that are alike in all patterns cancel, and
so does everything drawn inside a bin. Rows share few combinations of the latent's children, so that sum is made once for
each combination and not once for each row.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data_gen.language.pattern import PatternError
from data_gen.language.timeline import Timeline, hour_of_week
from data_gen.language.variables import LATENT, Codes, domain_of, inputs_of, read
from data_gen.network.compile import Network
from data_gen.network.draw import configuration

LogTable = NDArray[np.float64]
_BLOCK = 8192  # rows at a time: the running sums stay in the cache


class Posterior:
    """Log-probabilities of the patterns for rows drawn from a network on a span of time."""

    def __init__(self, network: Network, prior: NDArray[np.float64], start: int, end: int) -> None:
        """`prior`: the share of each pattern in the whole file, shape (patterns,)."""
        self.network = network
        self.plain = [n for n in network.nodes if n.informative and not set(n.parents) & LATENT.keys()]
        self.plain = [node for node in self.plain if node.name not in LATENT]
        self.hidden = [node for node in network.nodes if set(node.parents) & LATENT.keys()]
        self.latents = [node for node in network.nodes if node.name in LATENT]
        if any(node.parents for node in self.latents):
            raise PatternError(f"node {self.latents[0].name}: a latent node must not depend on another one")
        with np.errstate(divide="ignore"):
            self.by_hour = np.stack(
                [
                    np.log(pattern.week.weights / Timeline(pattern.week, start, end).total) + np.log(share)
                    for pattern, share in zip(network.patterns, prior, strict=True)
                ],
                axis=1,
            )
        self.key_parts = self._observable_parts()

    def _observable_parts(self) -> list[str]:
        """The variables that decide the latent's sum: its children and their other parents."""
        parts: dict[str, None] = {}
        for node in self.hidden:
            for name in (node.name, *node.parents):
                if name not in LATENT:
                    if set(inputs_of(name)) & LATENT.keys():
                        raise PatternError(f"node {node.name}: {name} is computed from a latent node")
                    parts[name] = None
        return list(parts)

    def log_joint(self, codes: Mapping[str, Codes], times: NDArray[np.int64]) -> LogTable:
        """Log P(pattern, row) but for factors that are alike in all patterns: shape (rows, patterns)."""
        rows = len(times)
        result = np.empty((rows, len(self.network.patterns)))
        hours = hour_of_week(times)
        indices = [
            (node.log_probability, configuration(node, codes) * node.domain.size + codes[node.name])
            for node in self.plain
        ]
        combination, sums = self._latent_sums(codes)
        for start in range(0, rows, _BLOCK):
            block = slice(start, start + _BLOCK)
            total = self.by_hour.take(hours[block], axis=0)
            for table, index in indices:
                total += table.take(index[block], axis=0)
            total += sums.take(combination[block], axis=0)
            result[block] = total
        return result

    def _latent_sums(self, codes: Mapping[str, Codes]) -> tuple[NDArray[np.intp], LogTable]:
        """The combination of each row, and for each combination the log of the sum over the latent's values."""
        key = np.zeros(len(next(iter(codes.values()))), dtype=np.int64)
        for name in self.key_parts:
            key = key * domain_of(name).size + read(name, codes)
        _, first, combination = np.unique(key, return_index=True, return_inverse=True)
        shown = {name: read(name, codes)[first] for name in self.key_parts}
        total = np.zeros((len(first), len(self.network.patterns)))
        for latent in self.latents:
            for value in range(latent.domain.size):
                given = {**shown, latent.name: np.full(len(first), value)}
                term = latent.log_probability[value] + np.zeros_like(total)
                for node in self.hidden:
                    term += node.log_probability.take(
                        configuration(node, given) * node.domain.size + shown[node.name], axis=0
                    )
                total += np.exp(term)
        with np.errstate(divide="ignore"):
            return combination, np.log(total)

    def abuse(self, codes: Mapping[str, Codes], times: NDArray[np.int64]) -> NDArray[np.float64]:
        """P(abuse | row), shape (rows,)."""
        joint = self.log_joint(codes, times)
        joint -= joint.max(axis=1, keepdims=True)
        np.exp(joint, out=joint)
        is_abuse = np.array([pattern.is_abuse for pattern in self.network.patterns])
        result: NDArray[np.float64] = joint[:, is_abuse].sum(axis=1) / joint.sum(axis=1)
        return result
