"""Requests against the rules of the contract."""
