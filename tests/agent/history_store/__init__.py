"""Tests of history store."""
