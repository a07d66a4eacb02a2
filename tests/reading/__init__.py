"""Tests of reading files of other shops."""
