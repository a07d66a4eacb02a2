"""Tests of enrichment/, and of what the agent and training do with it."""
