"""Cost and benefit of history."""
