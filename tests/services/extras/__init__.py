"""Extras of orders, with real services."""
