"""Suggestion of a mapping for a file of another format."""
