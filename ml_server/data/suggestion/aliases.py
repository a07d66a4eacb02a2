"""Common names of fields in other formats, and common spellings of their values."""

import re
from collections.abc import Mapping
from typing import Final

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "transaction_id": ("order_id", "order_no", "order_number", "order", "txn_id", "tx_id", "trans_id", "trans_num",
                       "payment_id", "psp_reference", "invoice_no", "bestellnr", "bestellnummer", "id"),
    "timestamp": ("transaction_time", "transaction_date", "datetime", "tx_datetime", "date_time", "trans_date_trans_time",
                  "placed_at", "placed", "order_date", "ordered_at", "purchase_time", "purchase_date", "created_at",
                  "event_time", "creation_date", "created_utc", "created", "transaction_dt", "time", "date", "when", "datum",
                  "seconds", "secs"),
    "user_id": ("customer_id", "client_id", "account_id", "buyer_id", "member_id", "shopper_reference",
                "customer", "user", "kunde", "cc_num",
                "name_orig", "card_id"),
    "order_amount": ("amount", "transaction_amount", "transaction_amt", "tx_amount", "order_total", "purchase_value", "amt",
                     "total", "grand_total", "betrag", "price", "value", "sum", "cents", "amount_cents"),
    "currency": ("currency_code", "currency_iso_code", "order_currency", "curr"),
    "account_created_date": ("signup_time", "signup_date", "registered_at", "registration_date", "account_opened", "opened",
                             "account_created", "user_created_at"),
    "account_age_days": ("account_age", "customer_age_days", "account_days"),
    "email_domain": ("p_emaildomain", "mail_domain", "email", "e_mail", "mail", "email_address"),
    "phone_verified": ("phone_ok", "phone_confirmed", "phone_valid"),
    "email_verified": ("email_ok", "email_confirmed", "mail_verified", "email_valid"),
    "failed_login_attempts_24h": ("failed_logins", "login_failures", "failed_logins_24h"),
    "device_id": ("device_fingerprint", "fingerprint", "device_hash"),
    "ip_address": ("ip", "client_ip", "ip_addr"),
    "ip_country": ("ip_country_code", "geo_country"),
    "user_agent": ("browser_user_agent", "http_user_agent", "ua"),
    "device_type": ("device", "dev", "device_kind"),
    "new_device": ("is_new_device", "first_time_device"),
    "vpn_proxy_detected": ("vpn", "proxy", "is_proxy", "is_vpn", "vpn_proxy"),
    "payment_method": ("payment_type", "pay_method", "payment", "card_type"),
    "card_bin": ("bin", "card_first6"),
    "card_id": ("card_token", "card_hash", "card_fingerprint", "card_ref"),
    "card_country": ("issuer_country", "bin_country", "card_issuer_country"),
    "billing_country": ("bill_country", "country_billing", "billing_country_code"),
    "shipping_country": ("ship_country", "country_shipping", "delivery_country", "shipping_country_code"),
    "billing_shipping_match": ("address_match", "addresses_match", "same_address"),
    "cvv_check_result": ("cvv", "cvv_result", "cvc_check", "cvv_match"),
    "avs_result": ("avs", "avs_match", "address_verification"),
    "three_ds_result": ("three_ds", "3ds", "3ds_result", "three_d_secure"),
    "total_orders_lifetime": ("orders_total", "previous_orders", "number_of_orders", "order_count"),
    "avg_order_value": ("average_order_value", "mean_order_value", "avg_amount", "average_amount"),
    "session_duration_seconds": ("session_seconds", "session_length", "time_on_site", "session_duration"),
    "cart_additions_session": ("cart_items", "items_in_cart", "cart_additions"),
    "promo_code_used": ("coupon_used", "promo", "coupon", "voucher_used"),
}  # fmt: skip
LABEL_NAMES: Final = (
    "is_fraud",
    "fraud",
    "is_abuse",
    "fraud_flag",
    "fraud_bool",
    "tx_fraud",
    "chargeback",
    "is_chargeback",
    "fraudulent",
    "is_fraudulent",
    "has_cbk",
    "betrug",
    "class",
    "label",
    "target",
    "bad",
)
ABUSE_WORDS: Final = (
    "1",
    "1.0",
    "true",
    "yes",
    "y",
    "t",
    "ja",
    "oui",
    "fraud",
    "fraudulent",
    "abuse",
    "bad",
    "chargeback",
)
HONEST_WORDS: Final = (
    "0",
    "0.0",
    "false",
    "no",
    "n",
    "f",
    "honest",
    "legitimate",
    "legit",
    "genuine",
    "good",
    "ok",
    "normal",
    "nein",
    "non",
)
AFTERWARDS: Final = ("fraud", "chargeback", "dispute", "refund", "abuse", "betrug")
"""Words in names of columns that are usually filled after the outcome is known."""
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "device_type": {"pc": "desktop", "computer": "desktop", "laptop": "desktop", "web": "desktop", "phone": "mobile",
                    "smartphone": "mobile", "ios": "mobile", "android": "mobile", "ipad": "tablet"},
    "payment_method": {"credit": "credit_card", "creditcard": "credit_card", "debit": "debit_card", "debitcard": "debit_card",
                       "bitcoin": "crypto", "btc": "crypto", "pay_pal": "paypal", "paypal_express": "paypal",
                       "ppcp_gateway": "paypal",
                       "visa": "credit_card", "mastercard": "credit_card", "mc": "credit_card", "amex": "credit_card",
                       "american_express": "credit_card", "stripe": "credit_card", "maestro": "debit_card"},
    "cvv_check_result": {"m": "pass", "match": "pass", "ok": "pass", "y": "pass", "true": "pass", "1": "pass", "n": "fail",
                         "no_match": "fail", "false": "fail", "0": "fail", "failed": "fail", "p": "not_checked"},
    "avs_result": {"y": "full_match", "x": "full_match", "full": "full_match", "match": "full_match", "a": "partial_match",
                   "z": "partial_match", "partial": "partial_match", "n": "no_match", "none": "no_match"},
    "payment_processor_response": {"ok": "approved", "success": "approved", "accepted": "approved", "refused": "declined",
                                   "failed": "declined", "denied": "declined", "fraud": "suspected_fraud"},
    "three_ds_result": {"y": "authenticated", "ok": "authenticated", "success": "authenticated", "a": "attempted",
                        "n": "failed"},
}  # fmt: skip


def simple(name: str) -> str:
    """Return a name in snake case: "Transaction ID" and "TransactionId" become transaction_id."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")
