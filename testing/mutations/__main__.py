"""`make mutations`: put each fault into a copy of the project and check that its tests fail.

Writes bench/results/mutations.json.
"""

import argparse
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testing.mutations.faults import FAULTS, Fault
from testing.project_copy import copy_project
from testing.reports.results import entry, write
from testing.servers.launching import PYTHON


def tests_pass(project: Path, tests: Sequence[str]) -> bool:
    """Return whether tests pass in a copy. Raises RuntimeError if they did not run."""
    command = [PYTHON, "-m", "pytest", "-x", "-q", "--no-header", *tests]
    environment = os.environ | {"PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    failed = any(line.startswith(("FAILED ", "ERROR ")) for line in done.stdout.splitlines())
    if done.returncode and not failed:
        raise RuntimeError(f"the tests did not run:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    return not failed


def is_caught(project: Path, fault: Fault) -> bool:
    """Return whether a fault makes its tests fail."""
    path = project / fault.file
    whole = path.read_text()
    if whole.count(fault.text) != 1:
        raise RuntimeError(f"{fault.file} does not hold this text once: {fault.text}")
    path.write_text(whole.replace(fault.text, fault.fault))
    try:
        return not tests_pass(project, fault.tests)
    finally:
        path.write_text(whole)


def main(arguments: Sequence[str] | None = None) -> int:
    """Try all faults; return exit code 1 if one is not caught."""
    parser = argparse.ArgumentParser(prog="python -m testing.mutations", description=__doc__)
    parser.add_argument("--topic", choices=sorted({fault.topic for fault in FAULTS}), help="only the faults of a topic")
    topic = parser.parse_args(arguments).topic
    missed = []
    with tempfile.TemporaryDirectory(prefix="vouch-mutations-") as folder:
        project = copy_project(Path(folder))
        for tests in {fault.tests for fault in FAULTS if topic in (None, fault.topic)}:
            if not tests_pass(project, tests):
                raise RuntimeError(f"these tests fail without any fault: {', '.join(tests)}")
        chosen = [fault for fault in FAULTS if topic in (None, fault.topic)]
        for fault in chosen:
            caught = is_caught(project, fault)
            print(f"{'caught' if caught else 'MISSED'}  {fault.topic:8} {fault.what}", flush=True)
            missed += [] if caught else [fault]
    if topic is None:
        write("mutations", {"faults": entry([len(chosen)], "faults"), "missed": entry([len(missed)], "faults")})
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
