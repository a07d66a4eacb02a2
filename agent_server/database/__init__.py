"""The database beneath the ledger: how it is opened, its file, and statements that are compiled once."""
