"""`vouch train`, `evaluate`, `models` and `score`."""
