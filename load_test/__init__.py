"""Labelled traffic for a running agent: an open-loop load test, and a look at the orders between the thresholds."""
