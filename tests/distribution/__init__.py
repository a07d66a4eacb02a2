"""Tests of wheels, extras and installs."""
