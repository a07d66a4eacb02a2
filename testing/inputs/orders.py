"""Orders that tests send."""

from typing import Any

from contract.examples import DOCUMENTED_ORDER
from generated.vouch.v1.transaction_pb2 import Transaction

DOCUMENTED: dict[str, Any] = dict(DOCUMENTED_ORDER)  # a test compares it with the README

ALL_DOCUMENTED: dict[str, Any] = {
    **DOCUMENTED,
    "currency": "USD",
    "account_created_date": "2025-02-06 09:12:00",
    "email_verified": False,
    "profile_complete": False,
    "failed_login_attempts_24h": 0,
    "successful_logins_7d": 1,
    "password_reset_count_30d": 0,
    "device_id": "dev_1",
    "ip_address": "81.2.xxx.xxx",
    "ip_country": "US",
    "user_agent": "Mozilla/5.0",
    "device_type": "mobile",
    "vpn_proxy_detected": True,
    "payment_method": "credit_card",
    "card_bin": "424242",
    "card_country": "US",
    "billing_country": "US",
    "shipping_country": "CA",
    "billing_shipping_match": False,
    "cvv_check_result": "fail",
    "avs_result": "no_match",
    "payment_processor_response": "approved",
    "days_since_account_first_purchase": 0,
    "total_orders_lifetime": 0,
    "orders_last_24h": 0,
    "orders_last_7d": 0,
    "avg_order_value": 0,
    "session_duration_seconds": 45,
    "cart_additions_session": 1,
    "high_risk_category": True,
}
# 38 documented fields; the other six are ours.


def message(**fields: Any) -> Transaction:
    """Return the documented order as a message, with fields changed; None clears a field."""
    values: dict[str, Any] = {key: value for key, value in DOCUMENTED.items() if key != "timestamp"}
    values |= fields
    order = Transaction(**{key: value for key, value in values.items() if value is not None})
    if "timestamp" not in fields:
        order.timestamp.FromJsonString("2025-02-11T10:00:00Z")
    return order
