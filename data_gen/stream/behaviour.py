"""Behaviour of customers and attackers, as parameters: frequency, number of devices and cards, duration.

The manifest of a stream contains the `repr` of these classes, so that their names and fields are part of a file format.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from data_gen.language.distributions import Distribution, LogNormal


@dataclass(frozen=True)
class Customers:
    """Honest customers. Shares are fractions of their orders, except `in_families`."""

    rhythm: Distribution
    """Relative frequency of a customer's orders."""
    orders_in_90_days: float = 5.0
    """Average of the customers who order at all."""
    in_families: float = 0.35
    """Fraction of customers who share home and a device with others."""
    family: float = 2.6
    """Average number of people in such a family."""
    on_family_device: float = 0.45
    second_device: float = 0.25
    second_card: float = 0.15
    at_home: float = 0.75
    """From the address of their home, if the order comes from the country that they live in."""
    orders_at_address: int = 60
    """Orders of a stream that share an address, as strangers do: files do not contain its last two parts."""
    amount_spread: float = 0.15
    """Spread of a customer's amounts, in quantiles of the pattern's amounts."""


@dataclass(frozen=True)
class Campaign:
    """Behaviour of an attacker. The probabilities apply to each order after the first."""

    orders: float
    """Average."""
    hours: Distribution
    """Duration, in minutes."""
    new_account: float
    """The next account: created, bought, or taken over."""
    new_card: float
    new_device: float
    takes_over: bool = False
    """The accounts belong to customers."""
    stored_card: float = 0.0
    """Fraction of orders paid with the account's own card."""
    one_connection: float = 0.8
    """Fraction of orders through the same network."""


@dataclass(frozen=True)
class CardTesting(Campaign):
    """Behaviour of an attacker who tests the cards of one bank, through one connection or many."""

    addresses: int = 1
    """Connections, which share the orders evenly."""


CUSTOMERS: Final = Customers(rhythm=LogNormal(median=100, sigma=0.9))
CAMPAIGNS: Final[Mapping[str, Campaign]] = {
    "fake_account": Campaign(
        orders=9, hours=LogNormal(median=60, sigma=1.3), new_account=0.75, new_card=0.15, new_device=0.12
    ),
    "payment_fraud": Campaign(
        orders=5, hours=LogNormal(median=7, sigma=1.4), new_account=0.12, new_card=0.6, new_device=0.1
    ),
    "account_takeover": Campaign(
        orders=4, hours=LogNormal(median=30, sigma=1.3), new_account=0.4, new_card=0.3, new_device=0.15,
        takes_over=True, stored_card=0.55,
    ),
}  # fmt: skip
"""By type of abuse."""
CARD_TESTING: Final[Sequence[CardTesting]] = (
    CardTesting(
        orders=240, hours=LogNormal(median=8, sigma=0.2), new_account=0.5, new_card=0.96, new_device=0.02, addresses=1
    ),
    CardTesting(
        orders=300, hours=LogNormal(median=60, sigma=0.4), new_account=0.7, new_card=0.96, new_device=0.2, addresses=10
    ),
    CardTesting(
        orders=600, hours=LogNormal(median=720, sigma=0.4), new_account=0.9, new_card=0.97, new_device=0.6,
        addresses=100,
    ),
    CardTesting(
        orders=2000, hours=LogNormal(median=4320, sigma=0.4), new_account=0.97, new_card=0.98, new_device=0.95,
        addresses=1000,
    ),
)  # fmt: skip
"""Campaigns of card testing, each with a quarter of the orders: from 30 a minute to one in two days from an address."""


def behaviour_parameters(abuse_types: Collection[str] = ()) -> dict[str, str]:
    """Return the parameters for the manifest; those of card testing only if it is one of the types."""
    card_testing = {"card_testing": repr(CARD_TESTING)} if "card_testing" in abuse_types else {}
    attackers = {name: repr(campaign) for name, campaign in CAMPAIGNS.items()}
    return {"customers": repr(CUSTOMERS)} | attackers | card_testing
