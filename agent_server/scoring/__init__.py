"""Calls to the scorer: client, batching, circuit breaker, and rescoring of cases without a score."""
