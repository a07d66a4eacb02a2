"""Logs and metrics, which never contain a field of an order."""
