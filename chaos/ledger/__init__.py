"""Guarantees of the ledger under kills, erasures, backups and tampering."""
