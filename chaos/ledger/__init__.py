"""What the ledger promises under kills, erasures, backups and tampering."""
