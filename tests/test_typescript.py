"""The TypeScript example: generated from the contract, type-checked, and calling the edge as a browser does."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from testing.servers.processes import ROOT, Stack

HOME = ROOT / "examples" / "typescript"
_KEPT = ROOT / ".tools" / "typescript"
"""Installed packages, by the digest of their lock: `npm ci` unpacks 155 MB."""


def npm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run npm in the example's copy."""
    command = ["npm", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return the example with its packages and the contract's descriptors, and nothing else of the project."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path / "examples" / "typescript"
    shutil.copytree(HOME, folder, ignore=shutil.ignore_patterns("node_modules", "built", "generated"))
    (tmp_path / "generated").mkdir()
    shutil.copy(ROOT / "generated" / "descriptor_set.binpb", tmp_path / "generated")
    cached = _KEPT / hashlib.sha256((HOME / "package-lock.json").read_bytes()).hexdigest()[:16] / "node_modules"
    if not cached.is_dir():
        installed = npm(folder, "ci", "--no-fund", "--no-audit", "--prefer-offline")
        if installed.returncode and npm(folder, "ping").returncode:
            pytest.skip("npm reaches no registry")
        assert installed.returncode == 0, installed.stderr
        cached.parent.mkdir(parents=True)
        shutil.move(folder / "node_modules", cached)
    (folder / "node_modules").symlink_to(cached)
    return folder


@pytest.mark.envoy
def test_the_example_in_typescript(example: Path, stack: Stack) -> None:
    """`npm ci`, `npm run build` and `npm start` work as documented: a decision, and errors by field."""
    built = npm(example, "run", "build")
    assert built.returncode == 0, built.stdout + built.stderr
    done = npm(example, "start", "--silent", "--", stack.url("edge"))
    assert done.returncode == 0, done.stderr
    decision, _, rest = done.stdout.partition(" ")
    assert decision in ("APPROVE", "DENY", "REVIEW") and "Legitimacy" in rest
    assert "INVALID_REQUEST" in rest and "'transaction.order_amount': 'must be greater than 0" in rest


def test_the_lock_names_hashes_and_no_host() -> None:
    """The lock has a hash for each package, and no host."""
    lock = (HOME / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') > 15
    assert "://" not in lock and '"resolved"' not in lock
