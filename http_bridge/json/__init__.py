"""Conversion between REST's JSON and messages of the contract."""
