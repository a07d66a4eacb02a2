"""`vouch generate` and `vouch validate`."""
