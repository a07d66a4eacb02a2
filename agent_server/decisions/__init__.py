"""From an order and its score to a decision. Pure."""
