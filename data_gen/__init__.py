"""Labelled synthetic orders from declared patterns, with the exact probability of abuse of each row."""
