"""Every feature, declared once: name, group, computation, and the sentence that explains it to a reviewer.

The order here is the model's order. Serving and training read the same list; see operations for how a declaration is
computed for a table and for one message.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np

from generated.vouch.v1.scoring_service_pb2 import FeatureGroup
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.inputs import NAN, ColumnSource, Fields, Numbers, fields_of
from ml_server.operations import (
    DISPOSABLE,
    FREE,
    PRIVATE,
    AccountAge,
    Arithmetic,
    Differs,
    FromTime,
    Operation,
    Ranked,
    TextScore,
    Value,
    is_bot,
    mail_kind,
)
from runtime.contract import FIELDS

ACCOUNT = FeatureGroup.FEATURE_GROUP_ACCOUNT
AUTHENTICATION = FeatureGroup.FEATURE_GROUP_AUTHENTICATION
PAYMENT = FeatureGroup.FEATURE_GROUP_PAYMENT
BEHAVIOUR = FeatureGroup.FEATURE_GROUP_BEHAVIOUR
NETWORK = FeatureGroup.FEATURE_GROUP_NETWORK

Sentence = str | Mapping[float, str]
RANKED: Final = ("email_domain", "ip_country", "billing_country", "shipping_country", "card_country")
"""Text fields whose values are put into an order learned in training."""


@dataclass(frozen=True)
class Feature:
    """One input of the model.

    `sentence` is a template over the fields and `value`; or one template for each value, for flags and names.
    """

    name: str
    group: FeatureGroup
    operation: Operation
    sentence: Sentence

    def explain(self, value: float, fields: Fields) -> str:
        """The sentence for one order; says so where the feature is unknown."""
        if math.isnan(value):
            return f"{', '.join(self.operation.inputs)} unknown"
        template = self.sentence if isinstance(self.sentence, str) else self.sentence.get(value)
        if template is None:
            return f"{self.name} is {value:g}"
        shown = {name: show(name, fields) for name in self.operation.inputs}
        return template.format(value=value, **shown)


def show(name: str, fields: Fields) -> str:
    """A field's value as a reviewer reads it; "unknown" where it is absent."""
    value: Any = fields.get(name)
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    kind = FIELDS[name].kind if name in FIELDS else ""
    if kind == "name":
        return next((short for short, number in FIELDS[name].names.items() if number == value), str(value))
    if kind == "time":
        return str(value.ToJsonString())
    if isinstance(value, float):
        return f"{value:.2f}"
    return str(value)


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


def _ranked(name: str, group: FeatureGroup, orders: Mapping[str, Mapping[str, float]], sentence: str) -> Feature:
    return Feature(f"{name}_rank", group, Ranked(name, orders.get(name, {})), sentence)


def declare(orders: Mapping[str, Mapping[str, float]]) -> tuple[Feature, ...]:
    """All features, given the learned orders of the RANKED fields."""
    return (
        # -- account
        Feature("account_age_days", ACCOUNT, AccountAge(), "the account is {value:.0f} days old"),
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
        _ranked("email_domain", ACCOUNT, orders, "e-mail domain is {email_domain}"),
        _flag("phone_verified", ACCOUNT, "the phone number is verified", "the phone number is not verified"),
        _flag("email_verified", ACCOUNT, "the e-mail address is verified", "the e-mail address is not verified"),
        _flag("profile_complete", ACCOUNT, "the profile is complete", "the profile is not complete"),
        Feature(
            "verified_signs",
            ACCOUNT,
            Arithmetic(("phone_verified", "email_verified", "profile_complete"), lambda a, b, c: a + b + c),
            "{value:.0f} of phone, e-mail and profile are in order",
        ),
        _count("total_orders_lifetime", ACCOUNT, "the account placed {total_orders_lifetime} orders before"),
        _count(
            "days_since_account_first_purchase",
            ACCOUNT,
            "the first purchase was {days_since_account_first_purchase} days ago",
        ),
        Feature(
            "age_at_first_purchase",
            ACCOUNT,
            Arithmetic(("account_age_days", "days_since_account_first_purchase"), lambda age, since: age - since),
            "the account was {value:.0f} days old at its first purchase",
        ),
        Feature(
            "orders_before_this_week",
            ACCOUNT,
            Arithmetic(("total_orders_lifetime", "orders_last_7d"), lambda total, week: total - week),
            "{value:.0f} of the account's orders are older than a week",
        ),
        # -- authentication
        _count("failed_login_attempts_24h", AUTHENTICATION, "{failed_login_attempts_24h} failed logins in 24 hours"),
        _count("successful_logins_7d", AUTHENTICATION, "{successful_logins_7d} successful logins in 7 days"),
        _count("password_reset_count_30d", AUTHENTICATION, "{password_reset_count_30d} password resets in 30 days"),
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
        _count("payment_attempts_24h", PAYMENT, "{payment_attempts_24h} attempts to pay in 24 hours"),
        _count("cards_used_30d", PAYMENT, "{cards_used_30d} different cards in 30 days"),
        Feature(
            "attempts_and_cards",
            PAYMENT,
            Arithmetic(("payment_attempts_24h", "cards_used_30d"), lambda attempts, cards: attempts + cards),
            "{payment_attempts_24h} attempts to pay with {cards_used_30d} cards",
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
        _ranked("card_country", PAYMENT, orders, "the card was issued in {card_country}"),
        _ranked("billing_country", PAYMENT, orders, "billed to {billing_country}"),
        _ranked("shipping_country", PAYMENT, orders, "shipped to {shipping_country}"),
        # -- behaviour
        _count("session_duration_seconds", BEHAVIOUR, "the visit took {session_duration_seconds} seconds"),
        _count("cart_additions_session", BEHAVIOUR, "{cart_additions_session} items were put into the cart"),
        _flag("high_risk_category", BEHAVIOUR, "goods that are easy to resell", "goods of low risk"),
        _flag("promo_code_used", BEHAVIOUR, "a promotion code was redeemed", "no promotion code was redeemed"),
        _count("orders_last_24h", BEHAVIOUR, "{orders_last_24h} other orders in 24 hours"),
        _count("orders_last_7d", BEHAVIOUR, "{orders_last_7d} other orders in 7 days"),
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
        _count("accounts_on_device_30d", NETWORK, "{accounts_on_device_30d} accounts on the device in 30 days"),
        _count("accounts_on_ip_24h", NETWORK, "{accounts_on_ip_24h} accounts at the address in 24 hours"),
        _ranked("ip_country", NETWORK, orders, "ordered from {ip_country}"),
        _differs("ip_country", "billing_country", NETWORK, "network and billing country"),
        _differs("ip_country", "card_country", NETWORK, "network and card country"),
        _differs("ip_country", "shipping_country", NETWORK, "network and shipping country"),
    )


@dataclass(frozen=True)
class Extra:
    """Columns of foreign data that are no field of Transaction, used as they are; unknown in a single message."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()

    def features(self, orders: Mapping[str, Mapping[str, float]]) -> tuple[Feature, ...]:
        """A feature for each of the columns."""
        return (
            *(Feature(name, BEHAVIOUR, Value(name), f"{name} is {{value:g}}") for name in self.numeric),
            *(_ranked(name, BEHAVIOUR, orders, f"{name} is {{{name}}}") for name in self.categorical),
        )


class FeatureSet:
    """The features with their learned orders: the one way from orders to the model's numbers."""

    def __init__(self, orders: Mapping[str, Mapping[str, float]], extra: Extra | None = None) -> None:
        self.orders = orders
        self.extra = extra or Extra()
        self.features = (*declare(orders), *self.extra.features(orders))
        self.names = tuple(feature.name for feature in self.features)
        # Values that stand as they are come out of the fields in one step; only the others are computed one by one.
        plain = [place for place, each in enumerate(self.features) if isinstance(each.operation, Value)]
        computed = [place for place in range(len(self.features)) if place not in plain]
        names = [self.features[place].operation.inputs[0] for place in plain]
        self._unknown = dict.fromkeys(names, NAN)
        self._plain = itemgetter(*names)
        self._computed = tuple(self.features[place].operation.value for place in computed)
        where = {place: index for index, place in enumerate([*plain, *computed])}
        self._in_order = itemgetter(*(where[place] for place in range(len(self.features))))

    def matrix(self, columns: ColumnSource) -> Numbers:
        """Features of a table, shape (rows, features), NaN for unknown."""
        return np.stack([feature.operation.column(columns) for feature in self.features], axis=1)

    def vector(self, transaction: Transaction) -> list[float]:
        """Features of one message, NaN for unknown."""
        return self.of_fields(fields_of(transaction))

    def of_fields(self, fields: Fields) -> list[float]:
        """As `vector`, for fields that were read already."""
        found = [*self._plain({**self._unknown, **fields}), *[value(fields) for value in self._computed]]
        return list(self._in_order(found))
