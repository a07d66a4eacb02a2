"""Payment fraud: stolen card numbers are tested and turned into goods.

Easy: card, address and network in different countries, wrong security codes, several attempts with several cards,
expensive goods that resell. Medium: each sign appears in some orders only. Hard: the number was stolen with code and
address, so the checks pass; what remains is a gift-like shipping address, the amount and the short session.
"""

from data_gen.language.distributions import By, Choice, Geometric, LogNormal, SameAs, always, yes
from data_gen.language.pattern import TIERS, Pattern
from data_gen.patterns.common import (
    ANYWHERE,
    NIGHT_WEEK,
    PROXY_EXIT,
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

EASY = LEGITIMATE.but(
    "payment_fraud_easy",
    abuse_type="payment_fraud",
    tier="easy",
    share=TIERS["easy"],
    week=NIGHT_WEEK,
    account_age_days=LogNormal(median=60, sigma=1.6),
    email_domain=mail(free=0.76, private=0.11, disposable=0.13),
    phone_verified=yes(0.52),
    profile_complete=yes(0.52),
    user_agent=agents(bots=0.04),
    new_device=yes(0.58),
    vpn_proxy_detected=yes(0.40),
    ip_country=seen_from(at_home=0.72, behind_vpn=0.24),
    accounts_on_device_30d=Geometric(0.9, start=1),
    accounts_on_ip_24h=By("vpn_proxy_detected", {False: Geometric(1.5, start=1), True: Geometric(5, start=1)}),
    payment_method=Choice({"credit_card": 0.68, "debit_card": 0.19, "paypal": 0.06, "crypto": 0.07}),
    card_country=card_from(near_home(0.36)),
    billing_country=near_home(0.62),
    shipping_country=SameAs("billing_country", 0.58, PROXY_EXIT),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.36)}),
    cvv_check_result=card_check(passed=0.48, failed=0.36),
    avs_result=address_check(full=0.16, partial=0.30),
    three_ds_result=secure(authenticated=0.08, attempted=0.24, failed=0.26),
    payment_processor_response=processor(declined=0.16, suspected=0.09),
    payment_attempts_24h=Geometric(2.6, start=1),
    cards_used_30d=Geometric(1.7, start=1),
    orders_last_24h=Geometric(0.7),
    high_risk_category=yes(0.62),
    order_amount=spends(first=19000, ratio=2.6, sigma=0.8),
    session_duration_seconds=LogNormal(median=170, sigma=0.8),
    cart_additions_session=Geometric(1.1, start=1),
    promo_code_used=yes(0.10),
)

MEDIUM = EASY.faded(LEGITIMATE, shown=0.70).but(
    "payment_fraud_medium",
    tier="medium",
    share=TIERS["medium"],
)

HARD = EASY.faded(LEGITIMATE, shown=0.64).but(
    "payment_fraud_hard",
    tier="hard",
    share=TIERS["hard"],
    cvv_check_result=card_check(passed=0.90, failed=0.03),
    avs_result=address_check(full=0.66, partial=0.22),
    billing_country=near_home(0.95),
    shipping_country=SameAs("billing_country", 0.86, ANYWHERE),
    billing_shipping_match=By("ships_abroad", {True: always(False), False: yes(0.32)}),
)

PAYMENT_FRAUD: tuple[Pattern, ...] = (EASY, MEDIUM, HARD)
