"""Vouch for notebooks and scripts: what `from vouch import Model, generate, history` returns."""
