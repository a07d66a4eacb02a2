"""Tests of all transports."""
