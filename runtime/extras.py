"""Extras: groups of optional dependencies in pyproject.toml, and the error where one is not installed."""

import contextlib
import importlib.util
from collections.abc import Iterator


class MissingExtra(ImportError):
    """A dependency of an extra is not installed. The message says what needs the extra, and how to install it."""


@contextlib.contextmanager
def needs_extra(what: str, extra: str) -> Iterator[None]:
    """Raise MissingExtra for an import inside that fails, since `what` needs an extra, or several by commas.

    An error in a package that is installed is raised as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or importlib.util.find_spec(error.name.partition(".")[0]):
            raise
        kind = "extras" if "," in extra else "extra"
        raise MissingExtra(f"{what} needs the {kind} \"{extra}\"; pip install 'vouch[{extra}]'") from error
