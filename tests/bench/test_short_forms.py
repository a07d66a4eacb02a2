"""Every bench in its short form, so that a broken one is noticed; figures are neither meaningful nor written."""

import importlib
import os
import pkgutil
from pathlib import Path

import pytest

import bench
from bench import install
from bench.harness import load
from testing.reports.results import FOLDER
from testing.servers.postgres import binaries
from testing.servers.processes import run

NEEDS_A_MODEL = {
    "bench.card_testing",
    "bench.console", "bench.ledger", "bench.memory.costs", "bench.model", "bench.parent", "bench.policy", "bench.reviewers",
    "bench.serving",
}  # fmt: skip
OWN_DATA = {
    "bench.feedback_loop", "bench.generate", "bench.install", "bench.memory.stream", "bench.real.__main__",
    "bench.recording.agents",
}  # fmt: skip
NO_BENCHES = {"bench.harness.servers", "bench.real.peers"}
"""Programs that benches start."""
OPTIONS = {
    "bench.feedback_loop": ("--seeds", "1"),
    "bench.real.__main__": ("--seeds", "1", "--peer-seeds", "1"),
}


def _benches() -> set[str]:
    """Yield every module below `bench` that is a program."""
    names = (one.name for one in pkgutil.walk_packages(bench.__path__, "bench."))
    sources = {name: Path(importlib.util.find_spec(name).origin).read_text() for name in names}  # type: ignore[union-attr, arg-type]
    return {name for name, source in sources.items() if '__name__ == "__main__"' in source}


def test_every_bench_is_in_the_tables() -> None:
    """A new bench must be run here in its short form."""
    assert _benches() == NEEDS_A_MODEL | OWN_DATA | NO_BENCHES


@pytest.mark.parametrize("name", sorted(NEEDS_A_MODEL | OWN_DATA))
def test_short_form(name: str, models: Path) -> None:
    """The bench runs with small counts, exits with 0, and leaves the measured results unchanged."""
    if name == "bench.serving" and (load.missing() or len(os.sched_getaffinity(0)) < 2):
        pytest.skip("h2load, wrk or a second core is missing")
    if name == "bench.recording.agents" and binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    if name == "bench.install" and (lacking := install.missing()):
        pytest.skip(lacking)
    before = {path: path.read_bytes() for path in FOLDER.iterdir()}
    given = ("--models-dir", str(models)) if name in NEEDS_A_MODEL else ()
    done = run("-m", name.removesuffix(".__main__"), "--short", *given, *OPTIONS.get(name, ()), seconds=600)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-1000:]
    assert {path: path.read_bytes() for path in FOLDER.iterdir()} == before
