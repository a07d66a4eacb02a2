"""Processes: commands, workers, the event loop, files that are whole or not there."""
