"""Honest customers who look like abuse, in five equally frequent kinds: the reason why single signs must not decide.

Each often shows the signs of one kind of abuse, for an honest reason, and differs in what an abuser cannot or would not
do: history, checks, addresses.
"""

from data_gen.language.distributions import By, Geometric, LogNormal, Mix, SameAs, always, yes
from data_gen.language.pattern import Pattern
from data_gen.patterns import account_takeover, fake_account, payment_fraud
from data_gen.patterns.common import ANYWHERE, SHOPPING_WEEK, address_check, card_from, near_home, seen_from, spends
from data_gen.patterns.legitimate import LEGITIMATE


def _looks_like(abuse: Pattern, shown: float) -> Pattern:
    """Return an honest pattern that shows each sign of a kind of abuse with this probability."""
    return abuse.faded(LEGITIMATE, shown).but(
        "looks_like", abuse_type="suspicious_but_legitimate", tier="n/a", share=0.2, week=SHOPPING_WEEK
    )


# Works behind a VPN and wipes the device between visits: the IP address can be anywhere and is shared with strangers,
# and every visit looks like the first one. Card and checks are in order.
VPN_USER = _looks_like(account_takeover.EASY, shown=0.60).but(
    "vpn_user",
    vpn_proxy_detected=yes(0.95),
    ip_country=seen_from(at_home=0.95, behind_vpn=0.25),
    new_device=yes(0.90),
    cvv_check_result=LEGITIMATE.nodes["cvv_check_result"],
    shipping_country=LEGITIMATE.nodes["shipping_country"],
    orders_before_7_days=LEGITIMATE.nodes["orders_before_7_days"],
)

# Travels: a foreign network, often a hotel's, a borrowed device, a forgotten password, goods sent to a local address.
TRAVELLER = _looks_like(account_takeover.EASY, shown=0.66).but(
    "traveller",
    ip_country=seen_from(at_home=0.10, behind_vpn=0.25),
    shipping_country=SameAs("billing_country", 0.74, ANYWHERE),
    orders_before_7_days=LEGITIMATE.nodes["orders_before_7_days"],
    order_amount=spends(first=8500, ratio=1.5, sigma=0.8),
)

# Buys presents: ships expensive goods, far above the usual, to somebody else, and decides quickly. The checks pass.
GIFT_BUYER = _looks_like(payment_fraud.EASY, shown=0.50).but(
    "gift_buyer",
    card_country=LEGITIMATE.nodes["card_country"],
    billing_country=LEGITIMATE.nodes["billing_country"],
    shipping_country=SameAs("billing_country", 0.72, ANYWHERE),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.06)}),
    avs_result=address_check(full=0.62, partial=0.26),
)

# A new customer who orders at once and repeatedly, for a household that shares the device and uses every code.
POWER_SHOPPER = _looks_like(fake_account.EASY, shown=0.66).but(
    "power_shopper",
    account_age_days=Mix(0.85, Geometric(4), LogNormal(median=250, sigma=1.2)),
    orders_last_24h=Geometric(0.9),
    payment_attempts_24h=Geometric(0.8, start=1),
    cards_used_30d=Geometric(0.6, start=1),
    order_amount=spends(first=9500, ratio=1.4, sigma=0.85),
)

# Lives abroad: card and billing address are from the country of origin, so the checks fail.
EXPAT = _looks_like(payment_fraud.EASY, shown=0.62).but(
    "expat",
    card_country=card_from(near_home(0.14)),
    billing_country=near_home(0.50),
    shipping_country=SameAs("home_country", 0.70, ANYWHERE),
    order_amount=spends(first=9000, ratio=1.5, sigma=0.85),
)

SUSPICIOUS_BUT_LEGITIMATE: tuple[Pattern, ...] = (VPN_USER, TRAVELLER, GIFT_BUYER, POWER_SHOPPER, EXPAT)
