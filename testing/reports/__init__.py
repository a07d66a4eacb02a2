"""Reports on the tests: CPU time, promises, results of benches."""
