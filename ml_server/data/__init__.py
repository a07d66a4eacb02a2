"""Datasets: in the contract's format, or in other formats through a mapping."""
