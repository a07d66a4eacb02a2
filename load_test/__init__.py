"""Labelled traffic for a running agent: an open-loop load test, and a listing of orders between the thresholds."""
