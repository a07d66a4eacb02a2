"""A model of deeper trees, for more features on a path than a table can have; it does not need LightGBM."""
