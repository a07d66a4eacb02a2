"""The condition language of policies: types, limits, and checks when a policy is loaded. Pure."""
