"""Orders, files and hostile inputs for tests."""
