"""The example order of the documentation: the README's curl, /docs, and what training expects of sparse requests."""

from typing import Any, Final

DOCUMENTED_ORDER: Final[dict[str, Any]] = {
    "transaction_id": "test-001",
    "timestamp": "2025-02-11T10:00:00",
    "user_id": "user-123",
    "account_age_days": 5,
    "email_domain": "tempmail.net",
    "phone_verified": False,
    "order_amount": 299.99,
    "new_device": True,
}
