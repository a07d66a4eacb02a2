"""The declared patterns, one file for each abuse type. They show how the kinds of abuse differ from honest orders."""

from data_gen.language.pattern import Pattern
from data_gen.patterns.account_takeover import ACCOUNT_TAKEOVER
from data_gen.patterns.card_testing import CARD_TESTING
from data_gen.patterns.fake_account import FAKE_ACCOUNT
from data_gen.patterns.legitimate import LEGITIMATE
from data_gen.patterns.payment_fraud import PAYMENT_FRAUD
from data_gen.patterns.suspicious_but_legitimate import SUSPICIOUS_BUT_LEGITIMATE

__all__ = ["PATTERNS"]

PATTERNS: tuple[Pattern, ...] = (
    LEGITIMATE,
    *SUSPICIOUS_BUT_LEGITIMATE,
    *FAKE_ACCOUNT,
    *ACCOUNT_TAKEOVER,
    *PAYMENT_FRAUD,
    *CARD_TESTING,
)
