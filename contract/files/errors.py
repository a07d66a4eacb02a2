"""The error of files that cannot be read."""


class TableError(ValueError):
    """A file that cannot be read as transactions; the message names file, row and column."""
