"""Helpers of tests, bench and chaos: processes, waiting, load, hostile inputs."""
