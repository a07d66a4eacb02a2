"""Measurements. Each writes a file in bench/results/ and says what it measured."""
