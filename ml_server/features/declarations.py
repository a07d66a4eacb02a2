"""Declarations of all features: name, group, computation, and the sentence that explains it to a reviewer.

The order is the model's order. Serving and training use the same list; see `operations` for how a declaration is
computed for a table and for a message.
"""

from collections.abc import Mapping
from typing import Final

from generated.vouch.v1.scoring_service_pb2 import FeatureGroup
from ml_server.features.feature import Feature
from ml_server.features.operations import AccountAge, Arithmetic, Differs, FromTime, Ranked, TextScore, Value
from ml_server.features.text_scores import DISPOSABLE, FREE, PRIVATE, is_bot, mail_kind

ACCOUNT = FeatureGroup.FEATURE_GROUP_ACCOUNT

AUTHENTICATION = FeatureGroup.FEATURE_GROUP_AUTHENTICATION

PAYMENT = FeatureGroup.FEATURE_GROUP_PAYMENT

BEHAVIOUR = FeatureGroup.FEATURE_GROUP_BEHAVIOUR

NETWORK = FeatureGroup.FEATURE_GROUP_NETWORK

RANKED: Final = ("email_domain", "ip_country", "billing_country", "shipping_country", "card_country")
"""Text fields with a ranking learned in training."""


def _flag(name: str, group: FeatureGroup, true: str, false: str) -> Feature:
    return Feature(name, group, Value(name), {1.0: true, 0.0: false})


def _name(name: str, group: FeatureGroup, sentence: str) -> Feature:
    return Feature(name, group, Value(name), sentence)


def _count(name: str, group: FeatureGroup, sentence: str) -> Feature:
    return Feature(name, group, Value(name), sentence)


def _differs(first: str, second: str, group: FeatureGroup, words: str) -> Feature:
    different = f"{words} differ: {{{first}}} and {{{second}}}"
    same = f"{words} agree: {{{first}}}"
    name = f"{first.removesuffix('_country')}_and_{second.removesuffix('_country')}_differ"
    return Feature(name, group, Differs((first, second)), {1.0: different, 0.0: same})


def ranked_feature(
    name: str, group: FeatureGroup, rankings: Mapping[str, Mapping[str, float]], sentence: str
) -> Feature:
    """Return a feature for a text field by its learned ranking."""
    return Feature(f"{name}_rank", group, Ranked(name, rankings.get(name, {})), sentence)


def declare(rankings: Mapping[str, Mapping[str, float]]) -> tuple[Feature, ...]:
    """Return all features, given the learned rankings of the RANKED fields."""
    return (
        # -- account
        Feature("account_age_days", ACCOUNT, AccountAge(), "the account is {value:.0f;day|days} old"),
        Feature(
            "email_domain_kind",
            ACCOUNT,
            TextScore("email_domain", mail_kind),
            {
                PRIVATE: "e-mail domain {email_domain} is a private or company one",
                FREE: "e-mail domain {email_domain} is a free provider",
                DISPOSABLE: "e-mail domain {email_domain} is a disposable one",
            },
        ),
        ranked_feature("email_domain", ACCOUNT, rankings, "e-mail domain is {email_domain}"),
        _flag("phone_verified", ACCOUNT, "the phone number is verified", "the phone number is not verified"),
        _flag("email_verified", ACCOUNT, "the e-mail address is verified", "the e-mail address is not verified"),
        _flag("profile_complete", ACCOUNT, "the profile is complete", "the profile is not complete"),
        Feature(
            "verified_signs",
            ACCOUNT,
            Arithmetic(("phone_verified", "email_verified", "profile_complete"), lambda a, b, c: a + b + c),
            "{value:.0f} of phone, e-mail and profile {value:.0f;?is|are} in order",
        ),
        _count("total_orders_lifetime", ACCOUNT, "the account placed {total_orders_lifetime:;order|orders} before"),
        _count(
            "days_since_account_first_purchase",
            ACCOUNT,
            "the first purchase was {days_since_account_first_purchase:;day|days} ago",
        ),
        Feature(
            "age_at_first_purchase",
            ACCOUNT,
            Arithmetic(("account_age_days", "days_since_account_first_purchase"), lambda age, since: age - since),
            "the account was {value:.0f;day|days} old at its first purchase",
        ),
        Feature(
            "orders_before_this_week",
            ACCOUNT,
            Arithmetic(("total_orders_lifetime", "orders_last_7d"), lambda total, week: total - week),
            "{value:.0f} of the account's orders {value:.0f;?is|are} older than a week",
        ),
        # -- authentication
        _count(
            "failed_login_attempts_24h",
            AUTHENTICATION,
            "{failed_login_attempts_24h:;failed login|failed logins} in 24 hours",
        ),
        _count(
            "successful_logins_7d",
            AUTHENTICATION,
            "{successful_logins_7d:;successful login|successful logins} in 7 days",
        ),
        _count(
            "password_reset_count_30d",
            AUTHENTICATION,
            "{password_reset_count_30d:;password reset|password resets} in 30 days",
        ),
        _flag("new_device", AUTHENTICATION, "the device is new to the account", "the account knows the device"),
        # -- payment
        _count("order_amount", PAYMENT, "the order is worth {order_amount}"),
        _count("avg_order_value", PAYMENT, "earlier orders were worth {avg_order_value} on average"),
        Feature(
            "amount_to_average",
            PAYMENT,
            Arithmetic(("order_amount", "avg_order_value"), lambda amount, average: amount / average),
            "the order of {order_amount} is {value:.1f} times the customer's average of {avg_order_value}",
        ),
        _name("payment_method", PAYMENT, "paid by {payment_method}"),
        _name("cvv_check_result", PAYMENT, "the security code check says {cvv_check_result}"),
        _name("avs_result", PAYMENT, "the address verification says {avs_result}"),
        _name("three_ds_result", PAYMENT, "3-D Secure says {three_ds_result}"),
        _name("payment_processor_response", PAYMENT, "the processor says {payment_processor_response}"),
        _count("payment_attempts_24h", PAYMENT, "{payment_attempts_24h:;attempt|attempts} to pay in 24 hours"),
        _count("cards_used_30d", PAYMENT, "{cards_used_30d:;card|different cards} in 30 days"),
        Feature(
            "attempts_and_cards",
            PAYMENT,
            Arithmetic(("payment_attempts_24h", "cards_used_30d"), lambda attempts, cards: attempts + cards),
            "{payment_attempts_24h:;attempt|attempts} to pay in 24 hours, {cards_used_30d:;card|cards} in 30 days",
        ),
        _flag(
            "billing_shipping_match",
            PAYMENT,
            "billing and shipping address are the same",
            "billing and shipping address differ",
        ),
        _differs("billing_country", "shipping_country", PAYMENT, "billing and shipping country"),
        _differs("card_country", "billing_country", PAYMENT, "card and billing country"),
        _differs("card_country", "shipping_country", PAYMENT, "card and shipping country"),
        ranked_feature("card_country", PAYMENT, rankings, "the card was issued in {card_country}"),
        ranked_feature("billing_country", PAYMENT, rankings, "billed to {billing_country}"),
        ranked_feature("shipping_country", PAYMENT, rankings, "shipped to {shipping_country}"),
        # -- behaviour
        _count("session_duration_seconds", BEHAVIOUR, "the visit took {session_duration_seconds:;second|seconds}"),
        _count("cart_additions_session", BEHAVIOUR, "{cart_additions_session:;item was|items were} put into the cart"),
        _flag("high_risk_category", BEHAVIOUR, "goods that are easy to resell", "goods of low risk"),
        _flag("promo_code_used", BEHAVIOUR, "a promotion code was redeemed", "no promotion code was redeemed"),
        _count("orders_last_24h", BEHAVIOUR, "{orders_last_24h:;other order|other orders} in 24 hours"),
        _count("orders_last_7d", BEHAVIOUR, "{orders_last_7d:;other order|other orders} in 7 days"),
        Feature(
            "hour_of_day",
            BEHAVIOUR,
            FromTime(lambda seconds: seconds // 3600 % 24),
            "ordered at {value:.0f} o'clock UTC",
        ),
        Feature(
            "day_of_week",
            BEHAVIOUR,
            FromTime(lambda seconds: (seconds // 86_400 + 3) % 7),
            "ordered on day {value:.0f} of the week (Monday is 0)",
        ),
        # -- network
        _name("device_type", NETWORK, "ordered from a {device_type}"),
        Feature(
            "user_agent_is_bot",
            NETWORK,
            TextScore("user_agent", is_bot),
            {1.0: "the browser is automated: {user_agent}", 0.0: "the browser is an ordinary one"},
        ),
        _flag("vpn_proxy_detected", NETWORK, "the address is a VPN or proxy", "the address is no VPN or proxy"),
        _count(
            "accounts_on_device_30d", NETWORK, "{accounts_on_device_30d:;account|accounts} on the device in 30 days"
        ),
        _count("accounts_on_ip_24h", NETWORK, "{accounts_on_ip_24h:;account|accounts} at the address in 24 hours"),
        ranked_feature("ip_country", NETWORK, rankings, "ordered from {ip_country}"),
        _differs("ip_country", "billing_country", NETWORK, "network and billing country"),
        _differs("ip_country", "card_country", NETWORK, "network and card country"),
        _differs("ip_country", "shipping_country", NETWORK, "network and shipping country"),
    )
