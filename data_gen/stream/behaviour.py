"""How people and attackers live, as parameters: how often they come, with how many devices and cards, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from data_gen.language.distributions import Distribution, LogNormal


@dataclass(frozen=True)
class Customers:
    """Honest people. Shares are of their orders, but for `in_families`."""

    rhythm: Distribution
    """How often a customer comes, as a weight beside the others'."""
    orders_in_90_days: float = 5.0
    """Of a customer, on average, among those who come at all."""
    in_families: float = 0.35
    """Customers who share home and a device with others."""
    family: float = 2.6
    """People in such a family, on average."""
    on_family_device: float = 0.45
    second_device: float = 0.25
    second_card: float = 0.15
    at_home: float = 0.75
    """With the address of their home, where the order comes from the country that they live in."""
    orders_at_address: int = 60
    """Orders of a stream that share an address: its last two parts are not kept, so strangers have the same."""
    amount_spread: float = 0.15
    """How far amounts of a customer lie apart, in quantiles of the pattern's amounts."""


@dataclass(frozen=True)
class Campaign:
    """What an attacker does from beginning to end. The chances are of each order after the first."""

    orders: float
    """On average."""
    hours: Distribution
    new_account: float
    """The next account: opened, bought, or taken over."""
    new_card: float
    new_device: float
    takes_over: bool = False
    """Accounts are those of customers."""
    stored_card: float = 0.0
    """Orders paid with the card that the account has."""
    one_connection: float = 0.8
    """Orders through the same network."""


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


def lives() -> dict[str, str]:
    """All of these, as a manifest tells them."""
    return {"customers": repr(CUSTOMERS)} | {name: repr(campaign) for name, campaign in CAMPAIGNS.items()}
