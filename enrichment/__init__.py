"""What can be derived from an order and data files: its value in one currency."""
