"""Honest customers who look like abuse: the reason why single signs must not decide. Five ways, alike in number.

Each shows the signs of one kind of abuse much of the time, for its own honest reason, and differs in what an abuser cannot
or would not do: the history, the checks, the addresses.
"""

from data_gen.language.distributions import By, Geometric, LogNormal, Mix, SameAs, always, yes
from data_gen.language.pattern import Pattern
from data_gen.patterns import account_takeover, fake_account, payment_fraud
from data_gen.patterns.common import ANYWHERE, SHOPPING_WEEK, address_check, card_from, near_home, seen_from, spends
from data_gen.patterns.legitimate import LEGITIMATE


def _looks_like(abuse: Pattern, shown: float) -> Pattern:
    """An honest order that shows each sign of a kind of abuse with this probability."""
    return abuse.faded(LEGITIMATE, shown).but(
        "looks_like", abuse_type="suspicious_but_legitimate", tier="n/a", share=0.2, week=SHOPPING_WEEK
    )


# Works behind a VPN, with the device wiped between visits: the address lies anywhere and is shared with strangers, every
# visit looks like a first one. Card and checks are in order.
VPN_USER = _looks_like(account_takeover.EASY, shown=0.60).but(
    "vpn_user",
    vpn_proxy_detected=yes(0.95),
    ip_country=seen_from(at_home=0.95, behind_vpn=0.25),
    new_device=yes(0.90),
    cvv_check_result=LEGITIMATE.nodes["cvv_check_result"],
    shipping_country=LEGITIMATE.nodes["shipping_country"],
    orders_before_7_days=LEGITIMATE.nodes["orders_before_7_days"],
)

# On the road: a foreign network, often a hotel's, a borrowed device, a forgotten password, goods sent to where one is.
TRAVELLER = _looks_like(account_takeover.EASY, shown=0.66).but(
    "traveller",
    ip_country=seen_from(at_home=0.10, behind_vpn=0.25),
    shipping_country=SameAs("billing_country", 0.74, ANYWHERE),
    orders_before_7_days=LEGITIMATE.nodes["orders_before_7_days"],
    order_amount=spends(first=8500, ratio=1.5, sigma=0.8),
)

# Buys presents: ships to somebody else, dear things, far above the usual, and knows what to buy. The checks pass.
GIFT_BUYER = _looks_like(payment_fraud.EASY, shown=0.50).but(
    "gift_buyer",
    card_country=LEGITIMATE.nodes["card_country"],
    billing_country=LEGITIMATE.nodes["billing_country"],
    shipping_country=SameAs("billing_country", 0.72, ANYWHERE),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.06)}),
    avs_result=address_check(full=0.62, partial=0.26),
)

# A new customer who orders at once, and again, for a household that shares the device and takes every code.
POWER_SHOPPER = _looks_like(fake_account.EASY, shown=0.66).but(
    "power_shopper",
    account_age_days=Mix(0.85, Geometric(4), LogNormal(median=250, sigma=1.2)),
    orders_last_24h=Geometric(0.9),
    payment_attempts_24h=Geometric(0.8, start=1),
    cards_used_30d=Geometric(0.6, start=1),
    order_amount=spends(first=9500, ratio=1.4, sigma=0.85),
)

# Lives abroad: the card and the billing address are of the country left behind, so the checks fail.
EXPAT = _looks_like(payment_fraud.EASY, shown=0.62).but(
    "expat",
    card_country=card_from(near_home(0.14)),
    billing_country=near_home(0.50),
    shipping_country=SameAs("home_country", 0.70, ANYWHERE),
    order_amount=spends(first=9000, ratio=1.5, sigma=0.85),
)

SUSPICIOUS_BUT_LEGITIMATE: tuple[Pattern, ...] = (VPN_USER, TRAVELLER, GIFT_BUYER, POWER_SHOPPER, EXPAT)
