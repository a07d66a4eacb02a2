"""Decimals of amounts by ISO 4217: none for yen, three for dinars, two for most currencies. Pure."""

from typing import Final

DECIMALS: Final = {
    **dict.fromkeys(
        (
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip
"""Currencies with other than two decimals."""


def round_amount(amount: float, currency: str) -> float:
    """Return an amount in whole minor units of its currency, at least one of them if it is above 0."""
    scale: float = 10.0 ** DECIMALS.get(currency, 2)
    return max(round(amount * scale), 1 if amount > 0 else 0) / scale


def format_amount(amount: float, currency: str) -> str:
    """Return an amount with its currency's decimals and code: 1,077 VND; without a currency two decimals and no code."""
    return f"{amount:,.{DECIMALS.get(currency, 2)}f} {currency}".rstrip()
