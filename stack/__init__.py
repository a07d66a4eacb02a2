"""All services on one machine: `vouch up`, `vouch serve`, `vouch demo` and the edge configuration."""
