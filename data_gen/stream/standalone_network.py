"""A pattern for a row that does not know the past: what depends on it is averaged over it, and its columns are left out.

In a stream the past is no drawn column but what came before. `order_amount` leans on the customer's average and
`failed_login_attempts_24h` on whether the device is new: the first is averaged over what the pattern says of the average, the
second stays, and whether the device is new is drawn but summed out of the posterior, since the row does not show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from data_gen.language.distributions import Distribution, Given, Probabilities
from data_gen.language.domains import Domain
from data_gen.language.pattern import Pattern, PatternError
from data_gen.language.variables import DERIVED, LATENT, NODES, inputs_of
from data_gen.network.compile import Network

ORDERS = ("orders_last_24h", "orders_2_to_7_days_ago", "orders_before_7_days")
LEFT_OUT = frozenset({
    *ORDERS, "avg_order_value", "payment_attempts_24h", "cards_used_30d", "accounts_on_device_30d", "accounts_on_ip_24h",
})  # fmt: skip
"""Columns that a stream counts instead of drawing them."""
HIDDEN = frozenset({*LATENT, "new_device"})


@dataclass(frozen=True)
class Averaged(Distribution):
    """`inner` with the customer's average band averaged over: for each band of age the probability of each of its values."""

    bands: Mapping[int, Mapping[int, float]]
    inner: Distribution

    def parents(self) -> frozenset[str]:
        """See Distribution."""
        return self.inner.parents() - {"average_band"} | {"age_band"}

    def pmf(self, domain: Domain, given: Given) -> Probabilities:
        """See Distribution."""
        terms = [
            share * self.inner.pmf(domain, {**given, "average_band": band})
            for band, share in self.bands[given["age_band"]].items()
            if share
        ]
        return sum(terms[1:], start=terms[0])


def without_past(pattern: Pattern) -> Pattern:
    """The pattern with every column that shows freed of those that a stream counts; PatternError where that cannot be done."""
    nodes = dict(pattern.nodes)
    for name, distribution in pattern.nodes.items():
        if name in LEFT_OUT:
            continue
        counted = {parent for parent in distribution.parents() if set(inputs_of(parent)) & LEFT_OUT}
        if counted == {"average_band"}:
            nodes[name] = Averaged(_average_bands(pattern), distribution)
        elif counted:
            raise PatternError(
                f"pattern {pattern.name}, node {name}: in a stream it cannot depend on {min(counted)}, which is counted there"
            )
    if others := pattern.nodes["new_device"].parents() - {"age_band"}:
        raise PatternError(f"pattern {pattern.name}, node new_device: in a stream it cannot depend on {min(others)}")
    return replace(pattern, nodes=nodes)


def standalone_network(patterns: tuple[Pattern, ...]) -> Network:
    """The network of patterns whose rows do not know the past."""
    return Network(tuple(without_past(pattern) for pattern in patterns), without=LEFT_OUT, hidden=HIDDEN)


def _average_bands(pattern: Pattern) -> dict[int, dict[int, float]]:
    """By band of age: how probable each band of the customer's average is."""
    average, band_of = NODES["avg_order_value"], DERIVED["average_band"]
    ages = DERIVED["age_band"].domain
    found: dict[int, dict[int, float]] = {}
    for age in map(ages.label, range(ages.size)):
        none = 1.0
        for name in ORDERS:
            if others := pattern.nodes[name].parents() - {"age_band"}:
                raise PatternError(
                    f"pattern {pattern.name}, node {name}: in a stream it cannot depend on {min(others)}"
                )
            none *= float(pattern.nodes[name].pmf(NODES[name], {"age_band": age})[0])
        bands = dict.fromkeys(map(band_of.domain.label, range(band_of.domain.size)), 0.0)
        for has, share in ((False, none), (True, 1 - none)):
            for code, chance in enumerate(
                pattern.nodes["avg_order_value"].pmf(average, {"has_history": has, "age_band": age})
            ):
                bands[band_of.domain.label(int(band_of.compute(code)))] += share * float(chance)
        found[int(age)] = bands
    return found
