"""The scenarios of `make chaos` with small counts: real processes killed, swapped, drained, flooded, fuzzed."""
