"""Imports of our modules, read from the source: which distributions does a role need."""

import ast
import functools
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from testing.servers.launching import ROOT

GOOGLE = {"protobuf": "protobuf", "rpc": "googleapis-common-protos", "api": "googleapis-common-protos"}
"""Distribution of each package in the namespace `google`."""


@functools.cache
def source_of(module: str) -> Path | None:
    """Return the file of one of our modules, None for others."""
    for root in (ROOT, ROOT / "clients"):
        path = root.joinpath(*module.split("."))
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return file
    return None


def modules_in(*folders: str) -> list[str]:
    """Return the names of all modules below folders of the repository."""
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py") if file.name != "__init__.py"]
    return [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]


@functools.cache
def imports_of(module: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that a module of ours imports when it is loaded, and those that its functions import."""
    path = source_of(module)
    assert path is not None, module
    found: tuple[set[str], set[str]] = (set(), set())
    for node, lazy in _statements(ast.parse(path.read_text()), lazy=False):
        if isinstance(node, ast.Import):
            found[lazy].update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found[lazy].add(node.module)
            found[lazy].update(name for alias in node.names if source_of(name := f"{node.module}.{alias.name}"))
    return frozenset(found[False]), frozenset(found[True])


def _statements(node: ast.AST, *, lazy: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Yield all statements, each with whether it is in a function; without imports that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            continue
        yield child, lazy
        yield from _statements(child, lazy=lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def _names(module: str, *, lazy: bool) -> frozenset[str]:
    eager, later = imports_of(module)
    return eager | later if lazy else eager


def loaded_with(entries: Iterable[str], *, lazy: bool) -> set[str]:
    """Return our modules that are loaded with some of them; if `lazy` also those that functions import."""
    found: set[str] = set()
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for name in _names(module, lazy=lazy):
            parts = name.split(".")
            prefixes = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
            waiting += [prefix for prefix in prefixes if source_of(prefix)]
    return found


@functools.cache
def _owners() -> dict[str, list[str]]:
    return dict(packages_distributions())


def distributions_of(modules: Iterable[str], *, lazy: bool) -> dict[str, str]:
    """Return the distributions that modules import directly, each with one module that does."""
    by_package, found = _owners(), dict[str, str]()
    for module in sorted(modules):
        for name in sorted(_names(module, lazy=lazy)):
            top, _, rest = name.partition(".")
            if top in sys.stdlib_module_names or source_of(top) or (ROOT / top).is_dir() or name == "google":
                continue
            owner = GOOGLE[rest.split(".")[0]] if top == "google" else by_package.get(top, [top])[0]
            found.setdefault(canonicalize_name(owner), module)
    return found
