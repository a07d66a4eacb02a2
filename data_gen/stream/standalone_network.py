"""Network for rows without history: dependencies on history are averaged out, and history columns are omitted.

In a stream history is computed, not drawn. `order_amount` depends on the customer's average and
`failed_login_attempts_24h` on whether the device is new. The first is averaged over the pattern's distribution of the
average. The second stays: whether the device is new is drawn, but summed out of the posterior, since the row does not
contain it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from data_gen.language.distributions import Distribution, Given, Probabilities
from data_gen.language.domains import Domain
from data_gen.language.pattern import Pattern, PatternError
from data_gen.language.variables import DERIVED, LATENT, NODES, inputs_of
from data_gen.network.compile import Network

ORDERS = ("orders_last_24h", "orders_2_to_7_days_ago", "orders_before_7_days")
COMPUTED = frozenset({
    *ORDERS, "avg_order_value", "payment_attempts_24h", "cards_used_30d", "accounts_on_device_30d", "accounts_on_ip_24h",
})  # fmt: skip
"""Columns that a stream computes instead of drawing them."""
HIDDEN = frozenset({*LATENT, "new_device"})


@dataclass(frozen=True)
class AveragedOverHistory(Distribution):
    """`inner` averaged over the customer's average band; `bands` has the probability of each band by band of age."""

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


def without_history(pattern: Pattern) -> Pattern:
    """Return the pattern without dependencies on computed columns; raise PatternError if that is impossible."""
    nodes = dict(pattern.nodes)
    for name, distribution in pattern.nodes.items():
        if name in COMPUTED:
            continue
        computed = {parent for parent in distribution.parents() if set(inputs_of(parent)) & COMPUTED}
        if computed == {"average_band"}:
            nodes[name] = AveragedOverHistory(_average_bands(pattern), distribution)
        elif computed:
            raise PatternError(
                f"pattern {pattern.name}, node {name}: in a stream it cannot depend on {min(computed)}, which is computed"
            )
    if others := pattern.nodes["new_device"].parents() - {"age_band"}:
        raise PatternError(f"pattern {pattern.name}, node new_device: in a stream it cannot depend on {min(others)}")
    return replace(pattern, nodes=nodes)


def standalone_network(patterns: tuple[Pattern, ...]) -> Network:
    """Return the network of patterns whose rows have no history."""
    return Network(tuple(without_history(pattern) for pattern in patterns), without=COMPUTED, hidden=HIDDEN)


def _average_bands(pattern: Pattern) -> dict[int, dict[int, float]]:
    """Return the probability of each band of the customer's average, by band of age."""
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
