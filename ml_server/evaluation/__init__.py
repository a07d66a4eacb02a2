"""Quality of scores, and the cost of thresholds."""
