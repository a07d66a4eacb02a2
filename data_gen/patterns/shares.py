"""Share of each type in the default mix. A type of abuse without a share here is omitted by default."""

from collections.abc import Mapping
from typing import Final

from contract.abuse_types import ALL_TYPES

_SHARES = {
    "legitimate": 0.70,
    "suspicious_but_legitimate": 0.05,
    "fake_account": 0.10,
    "account_takeover": 0.08,
    "payment_fraud": 0.07,
}
DEFAULT_RATIOS: Final[Mapping[str, float]] = {name: _SHARES.get(name, 0.0) for name in ALL_TYPES}
