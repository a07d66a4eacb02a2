"""What `make chaos` does with full counts, here with few: real processes killed, swapped, drained, flooded, fuzzed."""
