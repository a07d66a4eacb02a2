"""One behaviour at every door: vectors, the doors, and the command that runs the ones through the others."""
