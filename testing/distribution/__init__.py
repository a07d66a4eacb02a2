"""Wheels, extras, and environments with the dependencies of one extra only."""
