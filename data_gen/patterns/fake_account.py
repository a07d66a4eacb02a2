"""Fake accounts, created for abuse: repeated use of promotion codes and first-order discounts, goods never paid.

Easy: hours old, a disposable mail address, nothing verified, many of them on one device behind a proxy. Medium: each
sign appears in some orders only. Hard: weeks old with a common mail provider, a verified phone and a few visits.
"""

from data_gen.language.distributions import By, Choice, Geometric, LogNormal, always, yes
from data_gen.language.pattern import TIERS, Pattern
from data_gen.patterns.common import NIGHT_WEEK, agents, by_age, mail, processor, seen_from, spends
from data_gen.patterns.legitimate import LEGITIMATE

EASY = LEGITIMATE.but(
    "fake_account_easy",
    abuse_type="fake_account",
    tier="easy",
    share=TIERS["easy"],
    week=NIGHT_WEEK,
    account_age_days=Geometric(1.4),
    email_domain=mail(free=0.32, private=0.03, disposable=0.65),
    phone_verified=yes(0.14),
    email_verified=yes(0.30),
    profile_complete=yes(0.16),
    successful_logins_7d=Geometric(0.35, start=1),
    user_agent=agents(bots=0.13),
    new_device=yes(0.90),
    vpn_proxy_detected=yes(0.50),
    ip_country=seen_from(at_home=0.90, behind_vpn=0.20),
    accounts_on_device_30d=Geometric(3.2, start=1),
    accounts_on_ip_24h=By("vpn_proxy_detected", {False: Geometric(3.5, start=1), True: Geometric(7, start=1)}),
    payment_method=Choice({"credit_card": 0.40, "debit_card": 0.27, "paypal": 0.26, "crypto": 0.07}),
    payment_processor_response=processor(declined=0.10, suspected=0.04),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.66)}),
    high_risk_category=yes(0.42),
    order_amount=spends(first=8200, ratio=1.2, sigma=0.7),
    session_duration_seconds=LogNormal(median=115, sigma=0.75),
    cart_additions_session=Geometric(0.7, start=1),
    promo_code_used=yes(0.62),
)

_SHOWN = EASY.faded(LEGITIMATE, shown=0.72)

MEDIUM = _SHOWN.but(
    "fake_account_medium",
    tier="medium",
    share=TIERS["medium"],
    account_age_days=Geometric(4),
    promo_code_used=yes(0.58),
)

HARD = EASY.faded(LEGITIMATE, shown=0.55).but(
    "fake_account_hard",
    tier="hard",
    share=TIERS["hard"],
    account_age_days=Geometric(16),
    orders_before_7_days=by_age(
        days0=always(0),
        week1=always(0),
        month1=Geometric(0.1),
        quarter1=Geometric(0.2),
        year1=Geometric(0.4),
        years3=Geometric(0.8),
        older=Geometric(1.2),
    ),
    promo_code_used=yes(0.52),
)

FAKE_ACCOUNT: tuple[Pattern, ...] = (EASY, MEDIUM, HARD)
