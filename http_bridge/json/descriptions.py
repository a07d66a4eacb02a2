"""The contract's comments at run time, for the OpenAPI documents."""

import json
from functools import cache
from importlib import resources


@cache
def _all() -> dict[str, str]:
    descriptions: dict[str, str] = json.loads(resources.files("generated").joinpath("descriptions.json").read_text())
    return descriptions


def description(full_name: str) -> str:
    """Return the comment of a message, field or method by its full name; empty if it has none."""
    return _all().get(full_name, "")
