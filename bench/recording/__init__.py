"""Benchmarks of several agents on one ledger."""
