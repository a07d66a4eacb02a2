"""Schemathesis with both OpenAPI documents: valid requests are accepted, invalid ones are rejected as documented."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testing.servers.processes import ROOT, Stack

TRANSPORTS = ("rest_ml", "rest_agent")
CONFIG = ROOT / "testing" / "schemathesis.toml"


@dataclass(frozen=True)
class SchemaResult:
    """The number of requests, and the failures by check and operation."""

    examples: int
    failures: list[str]
    output: str


def check_documents(
    stack: Stack, folder: Path, limit: int, *options: str, transports: Sequence[str] = TRANSPORTS, config: Path = CONFIG
) -> SchemaResult:
    """Send up to `limit` requests for each operation and phase, with all checks."""
    examples, failures, output = 0, list[str](), ""
    for transport in transports:
        report = folder / f"{transport}.json"
        command = [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config),
            "run", f"{stack.url(transport)}/openapi.json", "--checks", "all", "--max-examples", str(limit),
            "--continue-on-failure", "--no-color", "--report", "json", "--report-json-path", str(report), *options,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if not report.exists():
            raise RuntimeError(f"schemathesis ended with {done.returncode}: {done.stderr[-2000:]}")
        found = json.loads(report.read_text())
        examples, output = examples + found["test_cases"]["generated"], output + done.stdout
        failures += [f"{each['title']}: {', '.join(each['operations'])}" for each in found["failures"]]
        failures += [str(error) for error in found["errors"]]
    return SchemaResult(examples, failures, output)


def check_all(folder: Path, models: Path, limit: int) -> SchemaResult:
    """Start servers and check both documents."""
    stack = Stack(folder, models)
    try:
        stack.start("ml", "agent", *TRANSPORTS)
        stack.wait_until_healthy()
        return check_documents(stack, folder, limit)
    finally:
        stack.close()
