"""Honest customers: most shop from home, with their own card, at a time when people are awake."""

from data_gen.distributions import By, Choice, Geometric, LogNormal, Mix, SameAs, always, yes
from data_gen.network import Pattern
from data_gen.patterns.common import (
    ANYWHERE,
    SHOPPING_WEEK,
    address_check,
    agents,
    by_age,
    card_check,
    card_from,
    mail,
    near_home,
    once_there,
    processor,
    secure,
    seen_from,
    spends,
)

LEGITIMATE = Pattern(
    name="legitimate",
    family="legitimate",
    tier="n/a",
    share=1.0,
    week=SHOPPING_WEEK,
    nodes={
        "home_country": ANYWHERE,
        # One order in six comes from a customer of the last weeks, the others have been there for about a year.
        "account_age_days": Mix(0.19, Geometric(7), LogNormal(median=400, sigma=1.25)),
        "email_domain": mail(free=0.66, private=0.325, disposable=0.015),
        "phone_verified": by_age(
            days0=yes(0.34), week1=yes(0.46), month1=yes(0.66), quarter1=yes(0.80), year1=yes(0.84),
            years3=yes(0.87), older=yes(0.88),
        ),  # fmt: skip
        "email_verified": by_age(
            days0=yes(0.58), week1=yes(0.74), month1=yes(0.88), quarter1=yes(0.94), year1=yes(0.96),
            years3=yes(0.97), older=yes(0.97),
        ),  # fmt: skip
        "profile_complete": By("phone_verified", {True: yes(0.84), False: yes(0.42)}),
        # A new device means forgotten passwords.
        "failed_login_attempts_24h": By("new_device", {True: Geometric(1.1), False: Geometric(0.14)}),
        "successful_logins_7d": by_age(
            days0=Geometric(0.6, start=1), week1=Geometric(1.6, start=1), month1=Geometric(2.0), quarter1=Geometric(2.2),
            year1=Geometric(2.6), years3=Geometric(2.9), older=Geometric(3.0),
        ),  # fmt: skip
        "password_reset_count_30d": By("new_device", {True: Geometric(0.34), False: Geometric(0.04)}),
        "device_type": Choice({"desktop": 0.40, "mobile": 0.52, "tablet": 0.08}),
        "user_agent": agents(bots=0.002),
        "new_device": by_age(
            days0=yes(0.97), week1=yes(0.42), month1=yes(0.22), quarter1=yes(0.18), year1=yes(0.17), years3=yes(0.17),
            older=yes(0.18),
        ),  # fmt: skip
        "vpn_proxy_detected": yes(0.06),
        "ip_country": seen_from(at_home=0.97, behind_vpn=0.45),
        "accounts_on_device_30d": Mix(0.13, Geometric(1.7, start=1), Geometric(0.14, start=1)),
        "accounts_on_ip_24h": By("vpn_proxy_detected", {False: Geometric(0.7, start=1), True: Geometric(4, start=1)}),
        "payment_method": Choice({"credit_card": 0.47, "debit_card": 0.29, "paypal": 0.225, "crypto": 0.015}),
        "card_country": card_from(near_home(0.975)),
        "billing_country": near_home(0.985),
        "shipping_country": SameAs("billing_country", 0.975, ANYWHERE),
        "billing_shipping_match": By("ships_abroad", {True: always(False), False: yes(0.86)}),
        "cvv_check_result": card_check(passed=0.945, failed=0.02),
        "avs_result": address_check(full=0.83, partial=0.12),
        "three_ds_result": secure(authenticated=0.54, attempted=0.16, failed=0.015),
        "payment_processor_response": processor(declined=0.035, suspected=0.008),
        # A wrong code is tried again, and then another card.
        "payment_attempts_24h": By(
            "cvv_check_result", {"fail": Geometric(1.6, start=1)}, default=Geometric(0.16, start=1)
        ),
        "cards_used_30d": By("cvv_check_result", {"fail": Geometric(0.9, start=1)}, default=Geometric(0.18, start=1)),
        "orders_last_24h": Geometric(0.06),
        "orders_2_to_7_days_ago": once_there(Geometric(0.16), from_band=7),
        "orders_before_7_days": by_age(
            days0=always(0), week1=always(0), month1=Geometric(0.5), quarter1=Geometric(1.2), year1=Geometric(3),
            years3=Geometric(9), older=Geometric(22),
        ),  # fmt: skip
        "avg_order_value": By("has_history", {False: always(0), True: LogNormal(median=6200, sigma=0.75)}),
        "high_risk_category": yes(0.16),
        "order_amount": spends(first=5500, ratio=0.95, sigma=0.82),
        "session_duration_seconds": LogNormal(median=330, sigma=0.95),
        "cart_additions_session": Geometric(2.1, start=1),
        # Welcome codes go to new customers.
        "promo_code_used": by_age(
            days0=yes(0.52), week1=yes(0.38), month1=yes(0.24), quarter1=yes(0.18), year1=yes(0.17), years3=yes(0.16),
            older=yes(0.16),
        ),  # fmt: skip
    },
)
