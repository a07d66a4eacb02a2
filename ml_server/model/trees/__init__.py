"""A model of deeper trees: more features on one way than a table can hold, walked and explained without LightGBM."""
