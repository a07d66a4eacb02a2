"""Account takeover: an established, verified account is suddenly used by somebody else.

Easy: a burst of failed logins, a reset, a new device in another country, an order far above the customer's average.
Medium: each sign appears in some orders only. Hard: the password was already known, so there is no failed login and no
reset; the goods still go to an address that is not the customer's.
"""

from data_gen.language.distributions import By, Geometric, LogNormal, Mix, SameAs, always, yes
from data_gen.language.pattern import TIERS, Pattern
from data_gen.patterns.common import (
    ANYWHERE,
    NIGHT_WEEK,
    PROXY_EXIT,
    agents,
    by_age,
    card_check,
    processor,
    seen_from,
    spends,
)
from data_gen.patterns.legitimate import LEGITIMATE

_FORGOTTEN = {"years3": Geometric(7), "older": Geometric(15)}

EASY = LEGITIMATE.but(
    "account_takeover_easy",
    abuse_type="account_takeover",
    tier="easy",
    share=TIERS["easy"],
    week=NIGHT_WEEK,
    account_age_days=LogNormal(median=640, sigma=0.9),
    failed_login_attempts_24h=Geometric(4.2),
    successful_logins_7d=Geometric(1.3, start=1),
    password_reset_count_30d=Geometric(0.95),
    user_agent=agents(bots=0.05),
    new_device=yes(0.93),
    vpn_proxy_detected=yes(0.46),
    ip_country=By(
        "vpn_proxy_detected",
        {False: SameAs("home_country", 0.30, PROXY_EXIT), True: SameAs("home_country", 0.22, PROXY_EXIT)},
    ),
    accounts_on_device_30d=Geometric(1.3, start=1),
    accounts_on_ip_24h=By("vpn_proxy_detected", {False: Geometric(2, start=1), True: Geometric(5, start=1)}),
    shipping_country=SameAs("billing_country", 0.82, ANYWHERE),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.25)}),
    cvv_check_result=card_check(passed=0.60, failed=0.07),
    payment_processor_response=processor(declined=0.09, suspected=0.04),
    orders_last_24h=Geometric(0.5),
    orders_before_7_days=by_age(
        days0=always(0),
        week1=always(0),
        month1=Geometric(0.5),
        quarter1=Geometric(1),
        year1=Geometric(2.5),
        **_FORGOTTEN,
    ),
    high_risk_category=yes(0.58),
    order_amount=spends(first=15000, ratio=2.8, sigma=0.7),
    session_duration_seconds=LogNormal(median=190, sigma=0.8),
    cart_additions_session=Geometric(1.0, start=1),
    promo_code_used=yes(0.09),
)

MEDIUM = EASY.faded(LEGITIMATE, shown=0.76).but(
    "account_takeover_medium",
    tier="medium",
    share=TIERS["medium"],
    account_age_days=LogNormal(median=600, sigma=0.9),
)

HARD = EASY.faded(LEGITIMATE, shown=0.70).but(
    "account_takeover_hard",
    tier="hard",
    share=TIERS["hard"],
    account_age_days=LogNormal(median=560, sigma=0.95),
    failed_login_attempts_24h=Geometric(0.22),
    password_reset_count_30d=Geometric(0.12),
    ip_country=seen_from(at_home=0.72, behind_vpn=0.40),
    new_device=Mix(0.72, always(True), LEGITIMATE.nodes["new_device"]),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.40)}),
)

ACCOUNT_TAKEOVER: tuple[Pattern, ...] = (EASY, MEDIUM, HARD)
