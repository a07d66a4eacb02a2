"""Variables of patterns: their values, and the few that are computed from others.

A *node* is drawn from its distribution. A *derived* variable is computed from nodes and only serves as a condition.
The one *latent* node, the customer's home country, is drawn but never written: the posterior sums over it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_gen.language import vocabulary as words
from data_gen.language.domains import Bins, Categories, Domain, counts, widening

Codes = NDArray[Any]

BOOLEAN = Categories((False, True))
COUNTRY = Categories(tuple(words.COUNTRIES))
CENTS = Bins((0, 1, *widening(100, 1_000_000, 215).edges))

LATENT: dict[str, Domain] = {"home_country": COUNTRY}

NODES: dict[str, Domain] = {
    "account_age_days": Bins((*range(15), *widening(15, 3650, 70).edges)),
    "email_domain": Categories((*words.FREE_MAIL, *words.PRIVATE_MAIL, *words.DISPOSABLE_MAIL)),
    "phone_verified": BOOLEAN,
    "email_verified": BOOLEAN,
    "profile_complete": BOOLEAN,
    "failed_login_attempts_24h": counts(15),
    "successful_logins_7d": counts(40),
    "password_reset_count_30d": counts(6),
    "device_type": Categories(("desktop", "mobile", "tablet")),
    "user_agent": Categories((*words.DESKTOP_AGENTS, *words.MOBILE_AGENTS, *words.TABLET_AGENTS, *words.BOT_AGENTS)),
    "new_device": BOOLEAN,
    "vpn_proxy_detected": BOOLEAN,
    "ip_country": COUNTRY,
    "accounts_on_device_30d": Bins(tuple(range(1, 14))),
    "accounts_on_ip_24h": Bins(tuple(range(1, 32))),
    "payment_method": Categories(("credit_card", "debit_card", "paypal", "crypto")),
    "card_country": Categories((*words.COUNTRIES, None)),
    "billing_country": COUNTRY,
    "shipping_country": COUNTRY,
    "billing_shipping_match": BOOLEAN,
    "cvv_check_result": Categories(("pass", "fail", "not_checked")),
    "avs_result": Categories(("full_match", "partial_match", "no_match", None)),
    "three_ds_result": Categories(("authenticated", "attempted", "failed", "not_enrolled", None)),
    "payment_processor_response": Categories(("approved", "declined", "suspected_fraud")),
    "payment_attempts_24h": Bins(tuple(range(1, 12))),
    "cards_used_30d": Bins(tuple(range(1, 9))),
    "orders_last_24h": counts(8),
    "orders_2_to_7_days_ago": counts(12),
    "orders_before_7_days": Bins((*range(12), *widening(12, 300, 24).edges)),
    "avg_order_value": CENTS,
    "high_risk_category": BOOLEAN,
    "order_amount": CENTS,
    "session_duration_seconds": widening(5, 7200, 70),
    "cart_additions_session": counts(30),
    "promo_code_used": BOOLEAN,
}


@dataclass(frozen=True)
class Derived:
    """A condition computed from nodes: `compute` maps their codes to codes of `domain`."""

    inputs: tuple[str, ...]
    domain: Domain
    compute: Callable[..., Codes]


def merge_bins(node: str, *edges: int) -> Derived:
    """Return a variable for a node's bins merged into wider bands; the edges must be edges of the node's bins."""
    source = NODES[node]
    assert isinstance(source, Bins) and set(edges[:-1]) <= set(source.edges), f"bands of {node} cut through its bins"
    band = np.searchsorted(np.asarray(edges), source.lower, side="right") - 1
    return Derived((node,), Bins(edges), lambda codes: band[codes])


def _nearest(source: Bins, *wanted: int) -> tuple[int, ...]:
    return tuple(min(source.edges, key=lambda edge: abs(edge - value)) for value in wanted)


AVERAGE_BANDS = (0, 1, *_nearest(CENTS, 2000, 4000, 8000, 16000, 32000), CENTS.edges[-1])
AGE_BANDS = (0, 1, 7, *_nearest(NODES["account_age_days"], 30, 90, 365, 1095), 3650)  # type: ignore[arg-type]

DERIVED: dict[str, Derived] = {
    "age_band": merge_bins("account_age_days", *AGE_BANDS),
    "average_band": merge_bins("avg_order_value", *AVERAGE_BANDS),
    "has_history": Derived(
        ("orders_last_24h", "orders_2_to_7_days_ago", "orders_before_7_days"),
        BOOLEAN,
        lambda today, week, before: ((today > 0) | (week > 0) | (before > 0)).astype(np.int64),
    ),
    "pays_by_card": Derived(("payment_method",), BOOLEAN, lambda codes: (codes < 2).astype(np.int64)),
    "card_from_elsewhere": Derived(
        ("card_country", "billing_country"),
        BOOLEAN,
        lambda card, billing: ((card != billing) & (card < COUNTRY.size)).astype(np.int64),
    ),
    "ships_abroad": Derived(("billing_country", "shipping_country"), BOOLEAN, lambda a, b: (a != b).astype(np.int64)),
}


def domain_of(variable: str) -> Domain:
    """Return the domain of any variable; raise ValueError naming it if there is none."""
    if variable in DERIVED:
        return DERIVED[variable].domain
    for table in (NODES, LATENT):
        if variable in table:
            return table[variable]
    raise ValueError(f"there is no variable {variable!r}")


def inputs_of(variable: str) -> tuple[str, ...]:
    """Return the nodes that a variable is computed from; a node is its own input."""
    return DERIVED[variable].inputs if variable in DERIVED else (variable,)


def read(variable: str, codes: Mapping[str, Codes]) -> Codes:
    """Return the codes of any variable, given those of the nodes."""
    if variable in codes:
        return codes[variable]
    derived = DERIVED[variable]
    return derived.compute(*(codes[name] for name in derived.inputs))
