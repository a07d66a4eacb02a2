"""The two interpreters of the declarations: one draws rows, one computes the exact posterior."""
