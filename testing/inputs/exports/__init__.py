"""Order files in the shapes in which shops, payment providers and data scientists export them; all persons are invented."""

from collections.abc import Callable
from typing import Final

from testing.inputs.exports import providers, shops, tables
from testing.inputs.exports.orders import Order, make_orders

__all__ = ["EXPORTS", "Order", "make_orders"]

EXPORTS: Final[dict[str, Callable[[list[Order]], bytes]]] = {
    "shopify.csv": shops.shopify,
    "woocommerce.csv": shops.woocommerce,
    "magento.csv": shops.magento,
    "amazon.txt": shops.amazon,
    "excel_in_europe.csv": shops.excel_in_europe,
    "stripe.csv": providers.stripe,
    "paypal.csv": providers.paypal,
    "adyen.csv": providers.adyen,
    "square.csv": providers.square,
    "braintree.csv": providers.braintree,
    "credit_card_components.csv": tables.credit_card_components,
    "card_not_present.csv": tables.card_not_present,
    "mobile_money.csv": tables.mobile_money,
    "simulated_cards.csv": tables.simulated_cards,
    "handbook.csv": tables.handbook,
    "first_purchases.csv": tables.first_purchases,
    "merchant_acquirer.csv": tables.merchant_acquirer,
}
"""Seventeen shapes of files, by name."""
