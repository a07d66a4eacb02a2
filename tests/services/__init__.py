"""Tests of running services."""
