"""Tests of the agent's services."""
