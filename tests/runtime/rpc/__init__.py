"""Tests of RPC."""
