"""Shared by benchmarks: load, servers, options."""
