"""Logs and metrics, which never hold a field of an order."""
