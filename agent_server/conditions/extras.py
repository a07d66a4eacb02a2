"""Extras of an order in conditions: `order.extra.<name>`. Pure.

The contract does not say whether an extra is a number or a text, so the condition does: what it compares it with. In CEL,
numbers are variables `order.extra.<name>` and texts `order.texts.<name>`, of the same length, so that positions in CEL's
errors stay valid.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Final

NUMBER, TEXT = "order.extra.", "order.texts."
_EXTRA: Final = re.compile(r"\border\s*\.\s*extra\s*\.\s*(\w+)")
_WRITTEN_OUT: Final = re.compile(r"\border\s*\.\s*(texts|extra(?!\s*\.\s*\w))\b")
_AS_TEXT: Final = r"\b{name}\s*(?:(?:==|!=)\s*@|in\s*(?:\[\s*@|lists\b)|\.\s*[a-z]\w*\s*\()|@\s*(?:==|!=|\+)\s*{name}\b"
_MAX_TRIED: Final = 16


def is_extra(name: str) -> bool:
    """Return whether a name of a condition is an extra."""
    return name.startswith((NUMBER, TEXT))


def extra_name(name: str) -> str:
    """Return the name of an extra without what is before it."""
    return name.removeprefix(NUMBER).removeprefix(TEXT)


def find_misused_extra(masked: str) -> int | None:
    """Return the position of `order.extra` without a name after it, or None."""
    match = _WRITTEN_OUT.search(masked)
    return match.start() if match else None


def assignments(masked: str) -> Iterator[dict[str, bool]]:
    """Yield which extras of a condition are texts: first as it looks, then the other possibilities."""
    names = list(dict.fromkeys(match[1] for match in _EXTRA.finditer(masked)))
    written = _EXTRA.sub(lambda match: NUMBER + match[1], masked)
    first = [re.search(_AS_TEXT.format(name=re.escape(NUMBER + name)), written) is not None for name in names]
    yield dict(zip(names, first, strict=True))
    for flips in itertools.islice(itertools.product((False, True), repeat=len(names)), 1, _MAX_TRIED):
        yield {name: text ^ flip for name, text, flip in zip(names, first, flips, strict=True)}


def replace_texts(source: str, masked: str, texts: dict[str, bool]) -> str:
    """Return a condition in which the extras that are texts have their own variable."""
    for match in reversed(list(_EXTRA.finditer(masked))):
        if texts.get(match[1]):
            part = match[0].replace("extra", "texts", 1)
            source = source[: match.start()] + part + source[match.end() :]
    return source
