"""Proving that the ledger is what was written: signatures, a walk over the chain, exports that verify by themselves."""
