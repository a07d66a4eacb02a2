"""Training: from a table to a model."""
