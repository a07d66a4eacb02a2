"""Is the data right, and hard enough? Checks, audit, a page about it."""
