"""How good scores are, and what thresholds cost."""
