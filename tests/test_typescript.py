"""The TypeScript examples: generated from the contract or from OpenAPI, type-checked, and calling a running service."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from testing.servers.processes import ROOT, Stack

EXAMPLES = ROOT / "examples"
_KEPT = ROOT / ".tools" / "typescript"
"""Installed packages, by the digest of their lock: `npm ci` unpacks 155 MB."""


def npm(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run npm in the example's copy."""
    command = ["npm", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)


def copy_example(name: str, target: Path) -> Path:
    """Return a copy of an example with its packages and the contract's descriptors, and nothing else of the project."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    home, folder = EXAMPLES / name, target / "examples" / name
    shutil.copytree(home, folder, ignore=shutil.ignore_patterns("node_modules", "built", "generated"))
    (target / "generated").mkdir()
    shutil.copy(ROOT / "generated" / "descriptor_set.binpb", target / "generated")
    cached = _KEPT / hashlib.sha256((home / "package-lock.json").read_bytes()).hexdigest()[:16] / "node_modules"
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
def test_the_example_in_typescript(tmp_path: Path, stack: Stack) -> None:
    """`npm ci`, `npm run build` and `npm start` work as documented: a decision, errors by field, the shared pseudonyms."""
    example = copy_example("typescript", tmp_path)
    built = npm(example, "run", "build")
    assert built.returncode == 0, built.stdout + built.stderr
    done = npm(example, "start", "--silent", "--", stack.url("edge"))
    assert done.returncode == 0, done.stderr
    decision, _, rest = done.stdout.partition(" ")
    assert decision in ("APPROVE", "DENY", "REVIEW") and "Legitimacy" in rest
    vectors = ROOT / "clients" / "pseudonym_vectors.json"
    checked = npm(example, "run", "vectors", "--silent", "--", str(vectors))
    assert checked.returncode == 0, checked.stderr
    assert int(checked.stdout) == len(json.loads(vectors.read_text())["vectors"])
    assert "INVALID_REQUEST" in rest and "'transaction.order_amount': 'must be greater than 0" in rest


def test_a_client_generated_from_openapi(tmp_path: Path, stack: Stack) -> None:
    """Types of both documents pass `tsc --strict`; the program decides orders, lists cases, and reads errors' reasons."""
    example = copy_example("typescript-rest", tmp_path)
    for service, name in (("rest_ml", "scorer"), ("rest_agent", "agent")):
        document = f"{stack.url(service)}/openapi.json"
        made = npm(example, "run", "generate", "--silent", "--", document, "--output", f"generated/{name}.ts")
        assert made.returncode == 0, made.stdout + made.stderr
    assert json.loads((example / "tsconfig.json").read_text())["compilerOptions"]["strict"] is True
    built = npm(example, "run", "build")
    assert built.returncode == 0, built.stdout + built.stderr
    done = npm(example, "start", "--silent", "--", stack.url("rest_agent"))
    assert done.returncode == 0, done.stderr
    decision, batch, cases, refused, missing = done.stdout.splitlines()
    assert decision.split()[0] in ("approve", "deny", "review") and decision.split()[1] == "example-ts-rest-1"
    assert (batch, cases) == ("[ 200 ]", "true")
    assert refused == "INVALID_REQUEST [ 'body.order_amount' ]" and missing == "CASE_NOT_FOUND true"


@pytest.mark.parametrize("name", ["typescript", "typescript-rest"])
def test_the_locks_name_hashes_and_no_registry(name: str) -> None:
    """The lock of an example has a hash for each package, and no registry."""
    lock = (EXAMPLES / name / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') > 15
    assert ".tgz" not in lock and "registry" not in lock and '"resolved"' not in lock
