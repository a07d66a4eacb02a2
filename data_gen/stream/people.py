"""Honest people: who there is, and which of them places an order of an account of a given age.

A row draws the age of its account like every row. Who comes is then chosen among those whose account is that old at that
moment, by their rhythm. So ages follow the pattern exactly, and accounts grow older from order to order.
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


def drawn(keyed: HashRandom, owners: NDArray[Any], purpose: str, distribution: Distribution, bins: Bins) -> Ints:
    """A whole number for each owner, distributed as declared over the bins."""
    entries = np.repeat(np.arange(bins.size), quantise(distribution.pmf(bins, {})))
    code = entries[keyed.sixteen(owners, purpose)]
    return bins.lower[code] + keyed.below(owners, f"{purpose} inside", bins.width[code])


def opened(keyed: HashRandom, rows: NDArray[Any], at: Ints, age: Ints) -> Ints:
    """When an account was opened that is so old, given as codes, at that time: some second that fits."""
    days = AGES.lower[age] + keyed.below(rows, "age", AGES.width[age])
    return at - days * DAY - keyed.below(rows, "hour of opening", DAY)


def fits(at: Ints, age: Ints, since: Ints) -> NDArray[np.bool_]:
    """Whether accounts opened then have the age, given as codes."""
    days = (at - since) // DAY
    return (days >= AGES.lower[age]) & (days < AGES.lower[age] + AGES.width[age])


class People:
    """People by the time at which they opened their accounts."""

    _RHYTHMS = widening(1, 3000, 40)

    def __init__(self, keyed: HashRandom, name: str, since: Ints, customers: Customers) -> None:
        """One person for each time in `since`."""
        own = keyed.words(np.arange(len(since)), f"people {name}")
        order = np.argsort(since, kind="stable")
        self.since, self.who = since[order], own[order]
        weights = drawn(keyed, self.who, "rhythm", customers.rhythm, self._RHYTHMS)
        self._before = np.concatenate(([0], np.cumsum(weights)))
        families = max(1, round(len(since) * customers.in_families / customers.family))
        family = keyed.words(keyed.below(self.who, "family", families), f"families {name}")
        self.in_family = keyed.happens(self.who, "in a family", customers.in_families)
        self.home: Owners = np.where(self.in_family, family, self.who)

    def at_age(self, keyed: HashRandom, rows: NDArray[Any], at: Ints, age: Ints) -> Ints:
        """The place of somebody for each row whose account has its age at its time, by rhythm; -1 where there is nobody."""
        first = np.searchsorted(self.since, at - (AGES.lower[age] + AGES.width[age]) * DAY, side="right")
        last = np.searchsorted(self.since, at - AGES.lower[age] * DAY, side="right")
        span = self._before[last] - self._before[first]
        chosen = self._before[first] + keyed.below(rows, "who", span)
        place: Ints = np.where(span > 0, np.searchsorted(self._before, chosen, side="right") - 1, -1)
        return place
