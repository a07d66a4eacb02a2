"""What is remembered of the past: declared once, read online from a memory and offline from a table. Pure."""
