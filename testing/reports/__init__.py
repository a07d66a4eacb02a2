"""What a run of the tests tells: CPU time, promises, results of benches."""
