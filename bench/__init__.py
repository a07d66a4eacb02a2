"""Benchmarks. Each writes a file in bench/results/ that names what it measured."""
