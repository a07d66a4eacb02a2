"""The documented REST on ports 8000 and 8001: spelling is changed here, structure never."""
