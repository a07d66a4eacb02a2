"""The doors: REST, Envoy and gRPC, and what they have in common."""
