"""Tests of every HTTP listener."""
