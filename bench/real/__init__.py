"""`make bench-real`: the model compared with its peers on real orders."""
