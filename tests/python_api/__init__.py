"""The Python API for notebooks and scripts."""
