"""Promises of the project, one a test, shown with the real parts."""
