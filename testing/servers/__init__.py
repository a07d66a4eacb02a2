"""Real servers on loopback for tests, bench and chaos, and clients to call them."""
