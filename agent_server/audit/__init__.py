"""Proof that the ledger is unchanged: signatures, verification of the chain, and exports that can be verified alone."""
