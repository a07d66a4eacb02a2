"""`python -m testing.reports.promises [--since REVISION]`: list the tests' promises, or their changes."""

import argparse
import ast
import subprocess
from collections.abc import Iterator, Mapping, Sequence

from testing.servers.launching import ROOT

Promises = Mapping[str, tuple[str, str]]
"""File and test, by promise."""


def promises_of(files: Mapping[str, str]) -> Promises:
    """Return the promises of test files, given by path."""
    return {promise: (path, name) for path, source in sorted(files.items()) for name, promise in _in(source)}


def _in(source: str) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            docstring = ast.get_docstring(node) or ""
            yield node.name, " ".join(docstring.split())


def files_now() -> dict[str, str]:
    """Return all test files of the working tree."""
    return {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}


def files_at(revision: str) -> dict[str, str]:
    """Return all test files of a commit."""
    names = _git("ls-tree", "-r", "--name-only", revision, "tests").split()
    return {
        name: _git("show", f"{revision}:{name}")
        for name in names
        if name.rpartition("/")[2].startswith("test_") and name.endswith(".py")
    }


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def changes(before: Promises, after: Promises) -> list[str]:
    """Return lines of Markdown: promises that are gone, new ones, and those that moved to another file."""
    lines = [f"{len(before)} promises before, {len(after)} after."]
    for title, sentences in (("Gone or told in other words", before.keys() - after), ("New", after.keys() - before)):
        where = before if sentences <= before.keys() else after
        lines += ["", f"## {title}: {len(sentences)}", ""]
        lines += [f"- {promise} ({where[promise][0]}, {where[promise][1]})" for promise in sorted(sentences)]
    moved = sorted(one for one in before.keys() & after if before[one][0] != after[one][0])
    lines += ["", f"## Moved: {len(moved)}", ""]
    return lines + [f"- {promise} ({before[promise][0]} -> {after[promise][0]})" for promise in moved]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the promises, or what changed."""
    parser = argparse.ArgumentParser(prog="python -m testing.reports.promises", description=__doc__)
    parser.add_argument("--since", metavar="REVISION", help="a commit to compare with")
    since = parser.parse_args(arguments).since
    now = promises_of(files_now())
    if since is not None:
        print("\n".join(changes(promises_of(files_at(since)), now)))
    else:
        print("\n".join(f"{path}::{name}: {promise}" for promise, (path, name) in now.items()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
