"""Copies of a ledger: backups while it serves, their restore, and the check of a ledger before it serves."""
