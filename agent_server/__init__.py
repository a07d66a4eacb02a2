"""The agent: scores through the scorer, applies the policy, keeps every decision, opens cases for people."""
