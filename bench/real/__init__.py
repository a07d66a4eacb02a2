"""`make bench-real`: the model beside its peers on real orders."""
