"""Commands of the agent, for operators and reviewers."""
