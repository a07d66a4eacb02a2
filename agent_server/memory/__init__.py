"""Memory: what the agent knows of the past of a user, a device, an address and a card, and what it fills in from there."""
