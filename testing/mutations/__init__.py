"""Hand-made faults that the tests must find."""
