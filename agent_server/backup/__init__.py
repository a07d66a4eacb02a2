"""Copies of a ledger: backups while it serves, restoring them, and the check of a ledger before it serves."""
