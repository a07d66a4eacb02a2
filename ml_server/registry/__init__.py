"""Models on disk: one bundle owns all file formats, a folder keeps the versions."""
