"""Erasure of persons, in tables and in files."""
