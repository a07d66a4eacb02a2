"""The Python examples run from a checkout's own environment, as their first lines and the guide to clients say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from testing.inputs.documents import DOCUMENTS
from testing.servers.launching import PYTHON
from testing.servers.processes import ROOT, Stack

EXAMPLES = ROOT / "examples"
PRINTED = {
    "review.py": r"DECISION_\w+ 0\.\d+ .*\nINVALID_REQUEST \{'transaction.order_amount': ",
    "review_many.py": r"\{'DECISION_\w+': \d+",
    "by_reflection.py": r"(.*\n)*vouch\.v1\.AgentService\n(.*\n)*\{\n  \"transaction_id\": \"reflected-1\"",
}
"""What each example prints."""


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_examples_run_from_a_checkout(name: str, stack: Stack, tmp_path: Path) -> None:
    """Each example runs by `.venv/bin/python` without other paths, in any folder, and prints what it promises."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("VOUCH_", "PYTHON"))}
    command = [PYTHON, str(EXAMPLES / name), stack.address("edge")]
    done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.match(PRINTED[name], done.stdout), done.stdout


def test_every_example_is_in_the_guide() -> None:
    """The guide to clients links to each example of a client; other pages link to policies."""
    guide = DOCUMENTS[ROOT / "docs/how-to/clients.md"]
    linked = set(re.findall(r"examples/([\w-]+(?:\.\w+)?)", guide))
    linked |= set(re.findall(r"examples/([\w-]+\.yaml)", "\n".join(DOCUMENTS.values())))
    present = {path.name for path in EXAMPLES.iterdir() if path.name != "__pycache__"}
    assert present <= linked
