"""A Python client that is generated from the OpenAPI documents."""

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from testing.servers.processes import Stack

BIN = Path(sys.executable).parent
PROGRAM = """
import sys
from vouch_agent_client import Client
from vouch_agent_client.api.cases import get_case, list_cases
from vouch_agent_client.api.decisions import review
from vouch_agent_client.models import Error, TransactionRequest

client = Client(base_url=sys.argv[1])
order = TransactionRequest.from_dict(
    {"transaction_id": "generated-1", "timestamp": "2025-02-11T10:00:00Z", "user_id": "u", "order_amount": 20.0}
)
answer = review.sync(client=client, body=order)
assert answer is not None and not isinstance(answer, Error)
print(answer.decision, answer.transaction_id)
page = list_cases.sync(client=client)
assert page is not None and not isinstance(page, Error)
print(type(page.cases).__name__)
missing = get_case.sync(client=client, case_id="0" * 32)
assert isinstance(missing, Error)
print(missing.reason, missing.request_id != "")
"""


@pytest.mark.skipif(not (BIN / "openapi-python-client").exists(), reason="openapi-python-client is not installed")
def test_a_generated_client_works(stack: Stack, tmp_path: Path) -> None:
    """The client passes mypy --strict, makes a decision, lists cases, and reads an error's reason."""
    document = httpx.get(f"{stack.url('rest_agent')}/openapi.json").json()
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    command = ["openapi-python-client", "generate", "--path", "openapi.json", "--output-path", "client"]
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(tmp_path)}
    for name, arguments, cwd in (
        (command[0], command[1:], tmp_path),
        ("mypy", ["--strict", "vouch_agent_client", "program.py"], tmp_path / "client"),
        ("python", ["program.py", stack.url("rest_agent")], tmp_path / "client"),
    ):
        if name == "mypy":
            (tmp_path / "client" / "program.py").write_text(PROGRAM)
        done = subprocess.run(
            [str(BIN / name), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = done.stdout.splitlines()
    assert lines[0].endswith("generated-1") and lines[1] == "list"
    assert lines[2] == "CASE_NOT_FOUND True"
