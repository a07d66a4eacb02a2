"""All services together on one machine: `vouch up` and the demonstration."""
