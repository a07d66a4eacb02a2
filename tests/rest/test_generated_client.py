"""Python clients that are generated from the OpenAPI documents."""

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
from vouch_agent_client.api.decisions import review, review_batch
from vouch_agent_client.api.service import health
from vouch_agent_client.models import Error, Health, TransactionBatchRequest, TransactionRequest
from vouch_agent_client.types import Unset

client = Client(base_url=sys.argv[1])
values = {"transaction_id": "generated-1", "timestamp": "2025-02-11T10:00:00Z", "user_id": "u", "order_amount": 20.0}
order = TransactionRequest.from_dict(values)
answer = review.sync(client=client, body=order)
assert answer is not None and not isinstance(answer, Error)
print(answer.decision, answer.transaction_id)
batch = review_batch.sync(client=client, body=TransactionBatchRequest(transactions=[order, {"order_amount": 1}]))
assert batch is not None and not isinstance(batch, Error)
print([one.status for one in batch.results], not isinstance(batch.results[0].result, Unset))
page = list_cases.sync(client=client)
assert page is not None and not isinstance(page, Error)
print(type(page.cases).__name__)
missing = get_case.sync(client=client, case_id="0" * 32)
assert isinstance(missing, Error)
print(missing.reason, missing.request_id != "")
refused = review.sync(client=client, body=TransactionRequest.from_dict(values | {"order_amount": -1.0}))
assert isinstance(refused, Error) and not isinstance(refused.detail, str)
print(refused.reason, refused.detail[0].loc)
state = health.sync(client=client)
assert isinstance(state, Health)
print(state.status)
"""
SCORER_PROGRAM = """
import sys
from vouch_ml_client import Client
from vouch_ml_client.api.scoring import predict
from vouch_ml_client.models import Error, TransactionRequest

order = TransactionRequest.from_dict({"transaction_id": "g", "timestamp": "2025-02-11T10:00:00Z", "user_id": "u"})
answer = predict.sync(client=Client(base_url=sys.argv[1]), body=order)
assert answer is not None and not isinstance(answer, Error)
print(0.0 <= answer.legitimacy_score <= 1.0)
"""


def run_tool(name: str, *arguments: str, cwd: Path) -> list[str]:
    """Run a command of the environment and return the lines of its output."""
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(cwd)}
    done = subprocess.run(
        [str(BIN / name), *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.skipif(not (BIN / "openapi-python-client").exists(), reason="openapi-python-client is not installed")
def test_generated_clients_work(stack: Stack, tmp_path: Path) -> None:
    """Clients of both documents pass mypy --strict; they score, decide, list cases, and read reasons of errors."""
    programs = {"rest_agent": ("vouch_agent_client", PROGRAM), "rest_ml": ("vouch_ml_client", SCORER_PROGRAM)}
    folder = tmp_path / "clients"
    folder.mkdir()
    for service, (package, program) in programs.items():
        document = tmp_path / f"{service}.json"
        document.write_text(httpx.get(f"{stack.url(service)}/openapi.json").text)
        options = ("--path", str(document), "--output-path", str(tmp_path / service))
        generated = run_tool("openapi-python-client", "generate", *options, cwd=tmp_path)
        warned = [line for line in generated if line.startswith("WARNING")]
        assert len(warned) == 1 and ":batch" in warned[0], "only JSON lines are left out"
        (tmp_path / service / package).rename(folder / package)
        (folder / f"{service}.py").write_text(program)
    packages = [package for package, _ in programs.values()]
    run_tool("mypy", "--strict", *packages, *(f"{service}.py" for service in programs), cwd=folder)
    lines = run_tool("python", "rest_agent.py", stack.url("rest_agent"), cwd=folder)
    assert lines[0].endswith("generated-1") and lines[1:] == [
        "[200, 422] True", "list", "CASE_NOT_FOUND True", "INVALID_REQUEST ['body', 'order_amount']", "healthy",
    ]  # fmt: skip
    assert run_tool("python", "rest_ml.py", stack.url("rest_ml"), cwd=folder) == ["True"]
