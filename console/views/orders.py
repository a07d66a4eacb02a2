"""An order for a page: its fields in groups, with unknown values, and marks on values completed from history."""

from collections.abc import Mapping
from dataclasses import dataclass

from contract.fields import FIELDS
from contract.messages import row_of
from generated.vouch.v1.transaction_pb2 import Transaction

GROUPS = {
    "Order": (
        "transaction_id", "timestamp", "user_id", "order_amount", "currency", "exchange_rate", "high_risk_category",
        "promo_code_used",
        "cart_additions_session", "session_duration_seconds",
    ),
    "Account": (
        "account_created_date", "account_age_days", "email_domain", "email_id", "phone_id", "phone_verified", "email_verified",
        "profile_complete",
        "failed_login_attempts_24h", "successful_logins_7d", "password_reset_count_30d",
    ),
    "Device and network": (
        "device_id", "device_type", "user_agent", "new_device", "accounts_on_device_30d", "ip_address", "ip_country",
        "vpn_proxy_detected", "hosting_ip_detected", "automation_detected", "accounts_on_ip_24h",
    ),
    "Payment": (
        "payment_method", "card_id", "card_bin", "card_country", "billing_country", "shipping_country",
        "shipping_address_id",
        "billing_shipping_match", "cvv_check_result", "avs_result", "three_ds_result", "payment_processor_response",
        "payment_attempts_24h", "cards_used_30d",
    ),
    "History": (
        "accounts_on_email_30d", "accounts_on_phone_30d", "accounts_on_shipping_address_30d",
        "total_orders_lifetime", "orders_last_24h", "orders_last_7d", "avg_order_value", "days_since_account_first_purchase",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FieldLine:
    """One field: its formatted value, whether it is known, and whether it was completed from history."""

    name: str
    value: str
    known: bool
    completed: bool = False


def group_fields(order: Transaction, completed: Mapping[str, str]) -> dict[str, list[FieldLine]]:
    """Return all fields of an order by group. Fields of no group, and extra fields, are in the group `Other`."""
    row = row_of(order)
    named = [name for names in GROUPS.values() for name in names]
    groups = GROUPS | {"Other": tuple(name for name in row if name not in named)}
    return {
        group: [_line(name, row.get(name), completed) for name in names] for group, names in groups.items() if names
    }


def _line(name: str, value: object, completed: Mapping[str, str]) -> FieldLine:
    is_completed = name in completed
    if value in (None, "") and is_completed:
        value = completed[name]
    if value in (None, ""):
        return FieldLine(name, "unknown", known=False)
    return FieldLine(name, format_value(name, value), known=True, completed=is_completed)


def format_value(name: str, value: object) -> str:
    """Return a field's value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.2f}".removesuffix(".00") if name in FIELDS else f"{value:g}"
    return str(value)
