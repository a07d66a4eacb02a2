"""The contract in REST's spelling: bodies, times, names, OpenAPI."""
