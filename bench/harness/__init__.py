"""What benches share: load, servers, options."""
