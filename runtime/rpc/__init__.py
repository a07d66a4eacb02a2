"""gRPC servers: guard, authentication, limits, health, in-process calls."""
