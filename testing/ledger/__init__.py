"""Ledgers for tests: copies, decisions, damage."""
