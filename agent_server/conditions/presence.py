"""`has(order.<field>)` in conditions: tests whether a field is known. Pure.

Fields are CEL variables, and CEL's own `has` does not work on variables. So `has(order.email_domain)` is replaced by a
variable of its own, `has_order_email_domain_`, which is true or false for every order. The name is as long as the text
that it replaces, so positions in CEL's errors stay valid.
"""

import re
from typing import Final

_HAS: Final = re.compile(r"\bhas\s*\(")
_FIELD: Final = re.compile(r"\bhas\s*\(\s*(order|abuse)\s*\.\s*((?:extra\s*\.\s*)?\w+)\s*\)")
_ROOTS: Final = re.compile(r"\b(?:order|abuse|lists|score|likely_abuse)\b")
PRESENCE_VARIABLE: Final = re.compile(r"\bhas_(order|abuse)_(\w+)_\b")
"""The variables that replace calls of `has`."""


def presence_variable(name: str) -> str:
    """Return the variable for the presence of a name: has_order_email_domain_ for order.email_domain."""
    return f"has_{name.replace('.', '_')}_"


def replace_has(text: str, masked: str) -> tuple[str, frozenset[str]]:
    """Replace each call of `has` on a field by a variable; return the text and the names of the fields.

    `masked` is the condition after `mask_literals`.
    """
    names: set[str] = set()
    for call in reversed(list(_FIELD.finditer(masked))):
        name = re.sub(r"\s", "", f"{call[1]}.{call[2]}")
        names.add(name)
        flag = presence_variable(name)
        spaces = re.sub(r"\S", "", call[0])  # including line breaks
        text = text[: call.start()] + flag + spaces + text[call.end() :]
    return text, frozenset(names)


def find_misused_has(masked: str) -> int | None:
    """Return the position of a call of `has` with an argument other than one field; None if there is none."""
    for call in _HAS.finditer(masked):
        if not _FIELD.match(masked, call.start()) and _ROOTS.search(_argument(masked, call.end())):
            return call.start()
    return None


def _argument(masked: str, start: int) -> str:
    """Return the text between the parentheses of a call; `start` is the position after the opening one."""
    depth = 1
    for place in range(start, len(masked)):
        depth += {"(": 1, ")": -1}.get(masked[place], 0)
        if depth == 0:
            return masked[start:place]
    return masked[start:]
