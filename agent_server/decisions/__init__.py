"""Makes the decision on an order from its score and the policy. Pure."""
