"""Code of all HTTP listeners: connection limits, Host and Origin rules, the metrics endpoint."""
