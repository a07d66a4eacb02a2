"""Files: planned, made by workers, written whole, with a manifest."""
