"""`vouch audit` and `vouch privacy`: an operator and the ledger."""
