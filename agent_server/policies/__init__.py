"""Policies as files: read with lines and columns, checked, and swapped while the agent serves."""
