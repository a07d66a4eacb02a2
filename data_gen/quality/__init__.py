"""Data quality: checks, a difficulty audit, and a report."""
