"""docs/how-to/grpc.md: its commands and its example run as written, and the reference of errors is true."""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from docs.grpc_pages import COMMON_ERRORS, OWN_ERRORS, SERVICES, errors_of
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.errors import reason_of
from testing.in_process import LocalServices, local_services
from testing.inputs.documents import DOCUMENTS
from testing.inputs.orders import message
from testing.servers.processes import ROOT, Stack
from testing.waiting import START_SECONDS

PAGE = DOCUMENTS[ROOT / "docs/how-to/grpc.md"]
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
ID = "0" * 32


def run_line(line: str, stack: Stack) -> str:
    """Run a line of the page on the edge of a stack and return its output."""
    words = shlex.split(line.replace("localhost:8080", stack.address("edge")).replace(".venv/bin/buf", "buf"))
    words[0] = shutil.which(words[0], path=f"{ROOT}/.venv/bin:/usr/local/bin:/usr/bin:/bin") or words[0]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=START_SECONDS)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return done.stdout


def test_buf_calls_by_reflection(stack: Stack) -> None:
    """`buf curl` lists the methods and gets a decision, without files of the contract."""
    listed, decided = (run_line(line, stack) for line in COMMANDS if "buf curl" in line)
    for service, server in SERVICES.values():
        listed_here = {f"{service.full_name}/{method.name}" in listed for method in service.methods}
        assert listed_here == {server.startswith("agent")}, service.name
    assert json.loads(decided)["transactionId"] == "buf-1"


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="grpcurl is not installed")
def test_grpcurl_calls_by_reflection(stack: Stack) -> None:
    """By grpcurl the services are listed and described, and an order is decided."""
    listed, method, transaction, decided = (run_line(line, stack) for line in COMMANDS if line.startswith("grpcurl"))
    assert "vouch.v1.AgentService" in listed and "ReviewRequest" in method and "order_amount" in transaction
    assert "grpcurl-1" in json.loads(decided).values()


def test_error_details_are_as_shown(stack: Stack) -> None:
    """The example decodes a real error, and prints what the page shows."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code.replace("localhost:8080", stack.address("edge")), "grpc.md", "exec"), {})
    assert json.loads(printed.getvalue()) == json.loads(shown)


def request_for(method: MethodDescriptor) -> Any:
    """Return a valid request about ids that do not exist."""
    request: Any = GetMessageClass(method.input_type)()
    for field in method.input_type.fields:
        texts = {"case_id": ID, "transaction_id": "no such order", "user_id": "nobody", "text": "x", "source": "bank"}
        if field.name in texts and not (field.name != "case_id" and method.name.startswith("List")):
            setattr(request, field.name, texts[field.name])
        elif field.name in ("token", "kind", "verdict"):
            setattr(request, field.name, 1)
        elif field.name in ("occurred_at", "before"):
            getattr(request, field.name).FromJsonString("2020-01-01T00:00:00Z")
        elif field.name == "transaction":
            request.transaction.CopyFrom(message())
        elif field.name == "transactions":
            request.transactions.append(message())
    if method.name == "ListOutcomes":
        request.transaction_id = "no such order"
    return request


async def reason_for(services: LocalServices, method: MethodDescriptor, request: Any = None) -> str:
    """Call a method and return the reason of its error; empty if there is none."""
    stub: Any = services.server_of(method.containing_service).stub(method.containing_service)
    request = request_for(method) if request is None else request
    try:
        if method.server_streaming:
            async for _ in getattr(stub, method.name)(request):
                break
        else:
            await getattr(stub, method.name)(request)
    except grpc.aio.AioRpcError as error:
        return reason_of(rpc_status.from_call(error))
    return ""


async def test_the_reference_names_the_errors_of_each_method(tmp_path: Path) -> None:
    """Without a model, and about ids that do not exist, each method answers what its page lists; each listed one is seen."""
    seen: dict[str, set[str]] = defaultdict(set)
    methods = {method.name: method for service, _ in SERVICES.values() for method in service.methods}
    (tmp_path / "a").mkdir()
    async with local_services(tmp_path / "none", tmp_path / "a", agent={"unscored": "error"}) as services:
        for name, method in methods.items():
            if name != "WatchCases":  # waits for a change
                seen[name].add(await reason_for(services, method))
    async with local_services(tmp_path / "none", tmp_path) as services:
        stub: Any = services.agent.stub(SERVICES["agent"][0])
        case_id = (await stub.Review(agent.ReviewRequest(transaction=message()))).case_id
        stub = services.agent.stub(SERVICES["cases"][0])
        token = (await stub.ClaimCase(cases.ClaimCaseRequest(case_id=case_id))).token
        for name in ("RenewClaim", "ReleaseCase", "ResolveCase"):
            request = request_for(methods[name])
            request.case_id, request.token = case_id, token + 1000
            seen[name].add(await reason_for(services, methods[name], request))
        verdict = cases.ResolveCaseRequest(case_id=case_id, token=token, verdict=agent.DECISION_APPROVE)
        assert await reason_for(services, methods["ResolveCase"], verdict) == ""
        seen["ClaimCase"].add(await reason_for(services, methods["ClaimCase"], cases.ClaimCaseRequest(case_id=case_id)))
    for name, reasons in seen.items():
        assert reasons - {""} <= {*COMMON_ERRORS, *errors_of(methods[name])}, (name, reasons)
        assert set(OWN_ERRORS.get(name, ())) <= reasons, (name, reasons)
    assert all("MODEL_NOT_LOADED" in seen[method.name] for method in SERVICES["scoring"][0].methods)
