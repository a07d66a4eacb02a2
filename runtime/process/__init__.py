"""Processes: commands, workers, the event loop, signals, atomic file writes."""
