"""Errors of data files."""


class DataFileError(Exception):
    """A data file that cannot be used; the message says what is wrong and what to do."""
