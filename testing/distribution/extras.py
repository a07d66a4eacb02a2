"""Extras of pyproject.toml: the distributions that each declares, and all that it installs."""

import functools
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from testing.servers.launching import ROOT

ROLES = ("scorer", "agent", "train", "edge", "console", "load", "postgres", "all")
"""The documented extras; "" is an install without one."""
PARTS = ("server", "tables")
"""Extras that others include."""


@functools.cache
def declared(extra: str) -> frozenset[str]:
    """Return the distributions that an install with an extra, or several by commas, declares; "" is one without."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    names: set[str] = set()
    for part in filter(None, extra.split(",")):
        lines += project["optional-dependencies"][part]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == project["name"]:
            names |= declared(",".join(sorted(requirement.extras)))
        else:
            names.add(canonicalize_name(requirement.name))
    return frozenset(names)


def installed(extra: str) -> set[str]:
    """Return the distributions that an install with an extra contains, with those that the declared ones need."""
    found: set[str] = set()
    waiting = [(name, "") for name in declared(extra)]
    seen = set(waiting)
    while waiting:
        name, wanted = waiting.pop()
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform or Python
            continue
        found.add(name)
        for needed in _needed(lines, wanted):
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    return found


def _needed(lines: list[str], extra: str) -> Iterator[tuple[str, str]]:
    """Yield name and extra of each requirement that applies here."""
    for line in lines:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            name = canonicalize_name(requirement.name)
            yield name, ""
            yield from ((name, each) for each in requirement.extras)


def extras_in(text: str) -> list[str]:
    """Return the extras that a sentence tells to install: `pip install 'vouch[a,b]'`."""
    found = re.search(r"pip install 'vouch\[([a-z,]+)\]'", text)
    return found[1].split(",") if found else []
