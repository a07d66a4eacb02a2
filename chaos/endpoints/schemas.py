"""Schemathesis with both OpenAPI documents: valid requests are accepted, invalid ones are rejected as documented."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testing.servers.processes import ROOT, Stack

DOORS = ("rest_ml", "rest_agent")
CONFIG = ROOT / "testing" / "schemathesis.toml"


@dataclass(frozen=True)
class Checked:
    """The number of requests, and the failures by check and operation."""

    examples: int
    failures: list[str]
    output: str


def check_documents(
    stack: Stack, folder: Path, most: int, *options: str, doors: Sequence[str] = DOORS, config: Path = CONFIG
) -> Checked:
    """Send up to `most` requests for each operation and phase, with all checks."""
    examples, failures, output = 0, list[str](), ""
    for door in doors:
        report = folder / f"{door}.json"
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config),
            "run", f"{stack.url(door)}/openapi.json", "--checks", "all", "--max-examples", str(most),
            "--continue-on-failure", "--no-color", "--report", "json", "--report-json-path", str(report), *options,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"schemathesis ended with {done.returncode}: {done.stderr[-2000:]}")
        found = json.loads(report.read_text())
        examples, output = examples + found["test_cases"]["generated"], output + done.stdout
        failures += [f"{each['title']}: {', '.join(each['operations'])}" for each in found["failures"]]
        failures += [str(error) for error in found["errors"]]
    return Checked(examples, failures, output)


def check_all(folder: Path, models: Path, most: int) -> Checked:
    """Start servers and check both documents."""
    stack = Stack(folder, models)
    try:
        stack.start("ml", "agent", *DOORS)
        stack.wait_until_healthy()
        return check_documents(stack, folder, most)
    finally:
        stack.close()
