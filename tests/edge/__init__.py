"""Tests of the edge (Envoy)."""
