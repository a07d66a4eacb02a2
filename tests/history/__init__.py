"""Tests of the history definitions."""
