"""Nearest match of a misspelt name."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], form: str = "{}") -> str:
    """Return "; did you mean ...?" with the known word closest to `word`, in a form; empty if none is close."""
    matches = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {form.format(matches[0])}?" if matches else ""
