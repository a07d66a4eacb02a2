"""Datasets: ours as they are, foreign ones through a mapping."""
