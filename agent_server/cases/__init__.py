"""Casework: who has a case until when, and what becomes of it."""
