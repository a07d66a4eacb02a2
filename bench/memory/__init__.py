"""What memory costs, and what it gives."""
