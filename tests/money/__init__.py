"""Tests of amounts in several currencies."""
