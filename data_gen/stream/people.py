"""The population of customers, and the choice of one for an order by account age.

A row draws its account age like every other row. A customer whose account has that age at that time is then chosen,
weighted by rhythm. So ages follow the pattern exactly, and accounts grow older from order to order.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_gen.language.distributions import Distribution
from data_gen.language.domains import Bins, widening
from data_gen.language.variables import NODES
from data_gen.network.compile import quantise
from data_gen.stream.behaviour import Customers
from data_gen.stream.hash_random import HashRandom, Owners

DAY = 86_400
Ints = NDArray[np.int64]
_ages = NODES["account_age_days"]
assert isinstance(_ages, Bins)
AGES: Bins = _ages


def sample_bins(rng: HashRandom, owners: NDArray[Any], purpose: str, distribution: Distribution, bins: Bins) -> Ints:
    """Return a whole number for each owner, distributed as declared over the bins."""
    entries = np.repeat(np.arange(bins.size), quantise(distribution.pmf(bins, {})))
    code = entries[rng.uint16(owners, purpose)]
    return bins.lower[code] + rng.below(owners, f"{purpose} inside", bins.width[code])


def sample_creation_time(rng: HashRandom, rows: NDArray[Any], at: Ints, age: Ints) -> Ints:
    """Return a random creation time of accounts that have this age, given as codes, at that time."""
    days = AGES.lower[age] + rng.below(rows, "age", AGES.width[age])
    return at - days * DAY - rng.below(rows, "hour of opening", DAY)


def has_age(at: Ints, age: Ints, since: Ints) -> NDArray[np.bool_]:
    """Return whether accounts created at `since` have this age, given as codes."""
    days = (at - since) // DAY
    return (days >= AGES.lower[age]) & (days < AGES.lower[age] + AGES.width[age])


class People:
    """People ordered by the creation time of their accounts."""

    _RHYTHMS = widening(1, 3000, 40)

    def __init__(self, rng: HashRandom, name: str, since: Ints, customers: Customers) -> None:
        """Create one person for each time in `since`."""
        own = rng.words(np.arange(len(since)), f"people {name}")
        order = np.argsort(since, kind="stable")
        self.since, self.who = since[order], own[order]
        weights = sample_bins(rng, self.who, "rhythm", customers.rhythm, self._RHYTHMS)
        self._before = np.concatenate(([0], np.cumsum(weights)))
        families = max(1, round(len(since) * customers.in_families / customers.family))
        family = rng.words(rng.below(self.who, "family", families), f"families {name}")
        self.in_family = rng.happens(self.who, "in a family", customers.in_families)
        self.home: Owners = np.where(self.in_family, family, self.who)

    def find_by_age(self, rng: HashRandom, rows: NDArray[Any], at: Ints, age: Ints) -> Ints:
        """Return for each row the index of a person whose account has that age at that time; -1 if there is none."""
        first = np.searchsorted(self.since, at - (AGES.lower[age] + AGES.width[age]) * DAY, side="right")
        last = np.searchsorted(self.since, at - AGES.lower[age] * DAY, side="right")
        span = self._before[last] - self._before[first]
        chosen = self._before[first] + rng.below(rows, "who", span)
        place: Ints = np.where(span > 0, np.searchsorted(self._before, chosen, side="right") - 1, -1)
        return place
