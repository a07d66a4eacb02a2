"""Compiles all patterns into one Bayesian network with tables of whole numbers."""

import hashlib
import itertools
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data_gen.language.distributions import Probabilities
from data_gen.language.pattern import Pattern, PatternError, check_nodes
from data_gen.language.variables import LATENT, NODES, domain_of, inputs_of

QUANTA = 1 << 16


def quantise(probabilities: Probabilities) -> NDArray[np.int64]:
    """Return whole shares of QUANTA nearest to the probabilities, by largest remainder; ties go to the lower code."""
    exact = probabilities * QUANTA
    result = np.floor(exact).astype(np.int64)
    missing = QUANTA - int(result.sum())
    order = np.argsort(-(exact - result), kind="stable")
    result[order[:missing]] += 1
    return result


class Node:
    """One node of the network: its parents, and its tables by pattern and by the parents' values."""

    def __init__(self, name: str, patterns: Sequence[Pattern]) -> None:
        self.name = name
        self.domain = domain_of(name)
        declared = [pattern.nodes[name] for pattern in patterns]
        self.parents = tuple(sorted(frozenset().union(*(distribution.parents() for distribution in declared))))
        parent_domains = [domain_of(parent) for parent in self.parents]
        self.parent_sizes = tuple(domain.size for domain in parent_domains)
        self.configurations = int(np.prod(self.parent_sizes, initial=1))
        unique: dict[bytes, int] = {}
        quanta: list[NDArray[np.int64]] = []
        self.table_of = np.empty((len(patterns), self.configurations), dtype=np.int64)
        values = [[domain.label(code) for code in range(domain.size)] for domain in parent_domains]
        # Patterns share most distributions, and each depends on some of the parents only: reuse what is already
        # computed.
        computed: dict[tuple[object, ...], int] = {}
        for row, (pattern, distribution) in enumerate(zip(patterns, declared, strict=True)):
            used = [place for place, parent in enumerate(self.parents) if parent in distribution.parents()]
            for column, assignment in enumerate(itertools.product(*values)):
                same = (id(distribution), *(assignment[place] for place in used))
                if same not in computed:
                    given = dict(zip(self.parents, assignment, strict=True))
                    try:
                        shares = quantise(distribution.pmf(self.domain, given))
                    except ValueError as error:
                        raise PatternError(f"pattern {pattern.name}, node {name}: {error}") from error
                    key = shares.tobytes()
                    if key not in unique:
                        unique[key] = len(quanta)
                        quanta.append(shares)
                    computed[same] = unique[key]
                self.table_of[row, column] = computed[same]
        self.quanta = np.stack(quanta)

    @property
    def informative(self) -> bool:
        """Whether any two patterns differ in this node; otherwise it cancels in the posterior."""
        return bool((self.table_of != self.table_of[0]).any())

    @cached_property
    def entries(self) -> NDArray[np.uint8]:
        """The tables, each of QUANTA codes: shape (tables * QUANTA,)."""
        codes = np.arange(self.domain.size, dtype=np.uint8)
        return np.repeat(np.tile(codes, len(self.quanta)), self.quanta.ravel())

    @cached_property
    def log_probability(self) -> NDArray[np.float64]:
        """Natural log of each probability: shape (configurations * codes, patterns), -inf where impossible."""
        with np.errstate(divide="ignore"):
            log = np.log(self.quanta / QUANTA)
        stacked = log[self.table_of]  # patterns, configurations, codes
        return np.ascontiguousarray(stacked.transpose(1, 2, 0).reshape(-1, stacked.shape[0]))


class Network:
    """All patterns in a fixed order, with the nodes in topological order."""

    def __init__(
        self, patterns: Sequence[Pattern], without: Collection[str] = (), hidden: Collection[str] = tuple(LATENT)
    ) -> None:
        """Compile all nodes except `without`; `hidden` nodes are drawn but not visible in a row."""
        self.patterns, self.hidden = tuple(patterns), frozenset(hidden)
        for pattern in patterns:
            check_nodes(pattern)
        nodes = {name: Node(name, patterns) for name in [*LATENT, *NODES] if name not in without}
        self.nodes = tuple(nodes[name] for name in drawing_order(nodes))

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of everything that the patterns determine."""
        digest = hashlib.sha256()
        for pattern in self.patterns:
            digest.update(f"{pattern.name}|{pattern.abuse_type}|{pattern.tier}|{pattern.share!r}|".encode())
            digest.update(np.ascontiguousarray(pattern.week.weights).tobytes())
        for node in self.nodes:
            digest.update(f"{node.name}|{node.parents}|".encode())
            digest.update(node.table_of.tobytes() + node.quanta.tobytes())
        return digest.hexdigest()


def drawing_order(nodes: Mapping[str, Node]) -> list[str]:
    """Return the names of the nodes in topological order; raise PatternError naming the nodes of a cycle."""
    waiting = {
        name: {source for parent in node.parents for source in inputs_of(parent)} for name, node in nodes.items()
    }
    order: list[str] = []
    while waiting:
        ready = [name for name, sources in waiting.items() if not sources & waiting.keys()]
        if not ready:
            raise PatternError(f"nodes {', '.join(sorted(waiting))}: dependency cycle")
        order += ready
        for name in ready:
            del waiting[name]
    return order
