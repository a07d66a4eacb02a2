"""`has(order.<field>)` in conditions: whether a field is known. Pure.

Conditions see fields as variables, and CEL's own `has` over a variable gives its value. So `has(order.email_domain)` becomes
a variable of its own, `has_order_email_domain_`, which is true or false for every order. The name is as long as what it
replaces, so that places in CEL's messages stay places in the text.
"""

import re
from typing import Final

_HAS: Final = re.compile(r"\bhas\s*\(")
_FIELD: Final = re.compile(r"\bhas\s*\(\s*(order|abuse)\s*\.\s*(\w+)\s*\)")
_ROOTS: Final = re.compile(r"\b(?:order|abuse|lists|score|likely_abuse)\b")
FLAG: Final = re.compile(r"\bhas_(order|abuse)_(\w+)_\b")
"""The variables that stand for calls of `has`."""


def flag_of(name: str) -> str:
    """The variable that says whether a name is known: has_order_email_domain_ for order.email_domain."""
    root, _, field = name.partition(".")
    return f"has_{root}_{field}_"


def replace_has(text: str, masked: str) -> tuple[str, frozenset[str]]:
    """The condition with a variable for each call of `has` on a field, and the names of these fields.

    `masked` is the condition without its texts and comments, of the same length.
    """
    names: set[str] = set()
    for call in reversed(list(_FIELD.finditer(masked))):
        name = f"{call[1]}.{call[2]}"
        names.add(name)
        flag = flag_of(name)
        spaces = re.sub(r"\S", "", call[0])  # line ends among them
        text = text[: call.start()] + flag + spaces + text[call.end() :]
    return text, frozenset(names)


def misused_has(masked: str) -> int | None:
    """Where a call of `has` takes something else of an order than one field; None where none does."""
    for call in _HAS.finditer(masked):
        if not _FIELD.match(masked, call.start()) and _ROOTS.search(_argument(masked, call.end())):
            return call.start()
    return None


def _argument(masked: str, start: int) -> str:
    """What stands between the parentheses of a call, the first of which ends before `start`."""
    depth = 1
    for place in range(start, len(masked)):
        depth += {"(": 1, ")": -1}.get(masked[place], 0)
        if depth == 0:
            return masked[start:place]
    return masked[start:]
