"""A model of tables over one or two features each: the form that is exact, fast, and explained at once."""
