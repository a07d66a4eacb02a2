"""Models on disk: a bundle defines all file formats, a folder contains the versions."""
