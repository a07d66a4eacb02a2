"""Card testing: many small payments, to find out which of many stolen card numbers work.

Easy: new accounts of a script, card after card, security codes guessed, most payments declined, amounts of a few units.
Medium: each sign appears in some orders only. Hard: the codes were stolen too and a browser is driven, so that only the
small amount, the new account and the short session remain. In a stream, campaigns add what rows do not show: the pace,
the addresses, and cards that share their first six digits.
"""

from data_gen.language.distributions import By, Choice, Geometric, LogNormal, Mix, always, yes
from data_gen.language.pattern import TIERS, Pattern
from data_gen.patterns.common import (
    NIGHT_WEEK,
    address_check,
    agents,
    card_check,
    card_from,
    mail,
    near_home,
    processor,
    secure,
    seen_from,
    spends,
)
from data_gen.patterns.legitimate import LEGITIMATE

_CARDS_ONLY = Choice({"credit_card": 0.7, "debit_card": 0.3})

EASY = LEGITIMATE.but(
    "card_testing_easy",
    abuse_type="card_testing",
    tier="easy",
    share=TIERS["easy"],
    week=NIGHT_WEEK,
    account_age_days=Geometric(0.6),
    email_domain=mail(free=0.62, private=0.06, disposable=0.32),
    phone_verified=yes(0.08),
    email_verified=yes(0.24),
    profile_complete=yes(0.10),
    successful_logins_7d=Geometric(0.2, start=1),
    user_agent=agents(bots=0.30),
    new_device=yes(0.88),
    vpn_proxy_detected=yes(0.45),
    ip_country=seen_from(at_home=0.85, behind_vpn=0.25),
    accounts_on_device_30d=Geometric(3, start=1),
    accounts_on_ip_24h=By("vpn_proxy_detected", {False: Geometric(4, start=1), True: Geometric(8, start=1)}),
    payment_method=_CARDS_ONLY,
    card_country=card_from(near_home(0.55)),
    billing_country=near_home(0.85),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.80)}),
    cvv_check_result=card_check(passed=0.42, failed=0.46),
    avs_result=address_check(full=0.14, partial=0.26),
    three_ds_result=secure(authenticated=0.02, attempted=0.20, failed=0.22),
    payment_processor_response=processor(declined=0.40, suspected=0.10),
    payment_attempts_24h=Geometric(3.5, start=1),
    cards_used_30d=Geometric(2.6, start=1),
    orders_last_24h=Geometric(0.5),
    high_risk_category=yes(0.10),
    order_amount=spends(first=300, ratio=0.1, sigma=0.7, risky=1.0),
    session_duration_seconds=LogNormal(median=28, sigma=0.7),
    cart_additions_session=Geometric(0.1, start=1),
    promo_code_used=yes(0.03),
)

MEDIUM = EASY.faded(LEGITIMATE, shown=0.66).but(
    "card_testing_medium",
    tier="medium",
    share=TIERS["medium"],
    payment_method=_CARDS_ONLY,
    account_age_days=Mix(0.8, Geometric(1.5), LogNormal(median=60, sigma=1.4)),
    order_amount=spends(first=500, ratio=0.2, sigma=0.9, risky=1.0),
)

HARD = EASY.faded(LEGITIMATE, shown=0.42).but(
    "card_testing_hard",
    tier="hard",
    share=TIERS["hard"],
    payment_method=_CARDS_ONLY,
    account_age_days=Mix(0.6, Geometric(3), LogNormal(median=120, sigma=1.4)),
    user_agent=agents(bots=0.01),
    cvv_check_result=card_check(passed=0.88, failed=0.05),
    avs_result=address_check(full=0.62, partial=0.22),
    payment_processor_response=processor(declined=0.22, suspected=0.04),
    order_amount=spends(first=1400, ratio=0.4, sigma=0.9, risky=1.0),
)

CARD_TESTING: tuple[Pattern, ...] = (EASY, MEDIUM, HARD)
