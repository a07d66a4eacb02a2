"""Changes envoy.yaml by the edge's settings: addresses, access, limits and certificates."""
