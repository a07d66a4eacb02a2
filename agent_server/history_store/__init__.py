"""The database behind the definitions of `history/`: attempts of orders, and what is known of their past."""
