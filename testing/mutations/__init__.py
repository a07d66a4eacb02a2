"""Faults made by hand, to see that the tests find them."""
