"""The database behind the definitions of `history/`: attempts of orders, and the features computed from them."""
