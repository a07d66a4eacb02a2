"""Fault injection at the endpoints: idle and hostile clients, failing replicas, new certificates, fuzzed requests."""
