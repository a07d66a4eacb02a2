"""Conformance of the transports: test vectors, a client of each transport, and a command that compares responses."""
