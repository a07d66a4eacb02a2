"""What happens when things go wrong: real processes killed, swapped, drained and flooded while load runs."""
