"""Documented thresholds: approve at or above APPROVE_FROM, deny at or below DENY_UP_TO, review between them."""

from typing import Final

APPROVE_FROM: Final = 0.7
DENY_UP_TO: Final = 0.4
LEGITIMATE_FROM: Final = 0.5
"""Lowest score of the prediction `legitimate`."""
