"""What every HTTP listener has in common: bounds of its connections, the Host rule, and the metrics port."""
