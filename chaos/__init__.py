"""Fault injection: real processes are killed, swapped, drained and flooded under load."""
