"""Distributions of pattern nodes, some of them conditional on other variables.

A distribution maps a domain and the values of its parents to one probability for each code. Nothing here samples:
`network.draw` and `network.posterior` read the same quantised probabilities, so they cannot disagree.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_gen.language.domains import Bins, Domain

Probabilities = NDArray[np.float64]
Given = Mapping[str, Any]


class Distribution(ABC):
    """A distribution over the codes of a domain, given the values of its parents."""

    def parents(self) -> frozenset[str]:
        """Return the names of the variables that it depends on."""
        return frozenset()

    @abstractmethod
    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """Return the probability of each code, shape (domain.size,); raise ValueError if it does not fit the domain."""


@dataclass(frozen=True)
class Choice(Distribution):
    """Named values with their probabilities, which must sum to 1."""

    probabilities: Mapping[Any, float]

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        total = sum(self.probabilities.values())
        if abs(total - 1) > 1e-6 or min(self.probabilities.values()) < 0:
            raise ValueError(f"probabilities must be >= 0 and sum to 1, these sum to {total:g}")
        result = np.zeros(domain.size)
        for value, probability in self.probabilities.items():
            result[domain.code(value)] += probability
        return result


def yes(probability: float) -> Choice:
    """Return a distribution that is True with this probability, else False."""
    return Choice({True: probability, False: 1 - probability})


def always(value: Any) -> Choice:
    """Return a distribution with a single value."""
    return Choice({value: 1.0})


@dataclass(frozen=True)
class Frequencies(Distribution):
    """Named values with relative weights of any sum."""

    weights: Mapping[Any, float]

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        total = sum(self.weights.values())
        return Choice({value: weight / total for value, weight in self.weights.items()}).pmf(domain, given)


class Continuous(Distribution):
    """A distribution of numbers, assigned to bins by its cumulative distribution function."""

    @abstractmethod
    def cdf(self, value: float) -> float:
        """Return the probability of a number below `value`."""

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """Return the mass between neighbouring edges; mass outside the bins goes to the first and the last one."""
        if not isinstance(domain, Bins):
            raise ValueError(f"{type(self).__name__} needs a number, this column has named values")
        return _bin_masses(self, domain)


@lru_cache(maxsize=4096)
def _bin_masses(distribution: Continuous, domain: Bins) -> Probabilities:
    """Return the probability of each bin. Cached, since mixed patterns request the same one many times."""
    inner = [distribution.cdf(edge) for edge in domain.edges[1:-1]]
    result = np.diff(np.array([0.0, *inner, 1.0]))
    if not np.all(np.isfinite(result)) or result.min() < 0:
        raise ValueError(f"{distribution!r} is not a distribution: check its parameters")
    result.flags.writeable = False
    return result


@dataclass(frozen=True)
class LogNormal(Continuous):
    """Log-normal distribution with this median; `sigma` is the standard deviation of the logarithm."""

    median: float
    sigma: float

    def cdf(self, value: float) -> float:
        """See Continuous."""
        if value <= 0:
            return 0.0
        return 0.5 * (1 + math.erf(math.log(value / self.median) / (self.sigma * math.sqrt(2))))


@dataclass(frozen=True)
class Geometric(Continuous):
    """Whole numbers from `start` whose probability falls by a constant factor; the mean is `start + mean`."""

    mean: float
    start: int = 0

    def cdf(self, value: float) -> float:
        """See Continuous."""
        return 1 - float((self.mean / (1 + self.mean)) ** max(value - self.start, 0))


@dataclass(frozen=True)
class Poisson(Continuous):
    """Counts of independent events with this mean."""

    mean: float

    def cdf(self, value: float) -> float:
        """See Continuous."""
        term, total = math.exp(-self.mean), 0.0
        for count in range(math.ceil(value)):
            total += term
            term *= self.mean / (count + 1)
        return min(total, 1.0)


@dataclass(frozen=True)
class Uniform(Continuous):
    """Every whole number from `low` to `high`, both included, with equal probability."""

    low: int
    high: int

    def cdf(self, value: float) -> float:
        """See Continuous."""
        return min(max((value - self.low) / (self.high + 1 - self.low), 0.0), 1.0)


@dataclass(frozen=True)
class Mix(Distribution):
    """`first` with probability `share`, else `second`."""

    share: float
    first: Distribution
    second: Distribution

    def parents(self) -> frozenset[str]:
        """See Distribution."""
        return self.first.parents() | self.second.parents()

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        if not 0 <= self.share <= 1:
            raise ValueError(f"the share of a mix must lie in 0..1, not {self.share:g}")
        return self.share * self.first.pmf(domain, given) + (1 - self.share) * self.second.pmf(domain, given)


@dataclass(frozen=True)
class SameAs(Distribution):
    """The value of another variable with probability `share`, else a draw from `otherwise`."""

    variable: str
    share: float
    otherwise: Distribution

    def parents(self) -> frozenset[str]:
        """See Distribution."""
        return self.otherwise.parents() | {self.variable}

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        return Mix(self.share, always(given[self.variable]), self.otherwise).pmf(domain, given)


@dataclass(frozen=True)
class By(Distribution):
    """One distribution for each value of another variable; `default` applies to the values not named."""

    variable: str
    cases: Mapping[Any, Distribution]
    default: Distribution | None = None

    def parents(self) -> frozenset[str]:
        """See Distribution."""
        branches = [*self.cases.values(), *([self.default] if self.default else [])]
        return frozenset({self.variable}).union(*(branch.parents() for branch in branches))

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        branch = self.cases.get(given[self.variable], self.default)
        if branch is None:
            raise ValueError(f"there is no case for {self.variable} = {given[self.variable]!r}")
        return branch.pmf(domain, given)


@dataclass(frozen=True)
class Each(Distribution):
    """One distribution computed from the value of another variable: `make(value)`."""

    variable: str
    make: Callable[[Any], Distribution]

    def parents(self) -> frozenset[str]:
        """See Distribution; what `make` returns must not depend on other variables."""
        return frozenset({self.variable})

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        return self.make(given[self.variable]).pmf(domain, given)
