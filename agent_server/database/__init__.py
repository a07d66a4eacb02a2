"""The database beneath the ledger: connections, the file, and statements that are compiled once."""
