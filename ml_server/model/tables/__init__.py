"""A model of tables over one or two features each: exact, fast, and directly explainable."""
