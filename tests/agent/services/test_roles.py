"""Roles: what the holder of a key may do, and the error for other calls."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from agent_server.__main__ import serve
from agent_server.services.roles import ROLES
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2, case_service_pb2, outcome_service_pb2, privacy_service_pb2
from runtime.access.keys import digest, new_key
from testing.commands import error_of_command
from testing.ledger.templates import new_ledger
from testing.servers.processes import call
from testing.waiting import free_port

SERVICES = [
    service
    for module in (agent_service_pb2, case_service_pb2, outcome_service_pb2, privacy_service_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]
METHODS = {f"/{method.containing_service.full_name}/{method.name}": method for s in SERVICES for method in s.methods}
NAMES = ("shop", "reviewer", "auditor", "admin", "")


def test_every_rpc_has_its_roles() -> None:
    """Every RPC of the agent's services is in the roles table, and the table has no others."""
    assert ROLES.keys() == METHODS.keys()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    """Return a key of each role, and one of version 0.1 without a role."""
    made = {name: new_key() for name in NAMES}
    lines = [f"{name or 'old'}:{digest(key)}" + (f":{name}" if name else "") for name, key in made.items()]
    (tmp_path / "keys").write_text("\n".join(lines))
    return made


@asynccontextmanager
async def agent(folder: Path) -> AsyncIterator[str]:
    """Run a real agent in this process, without a scorer; yield its address."""
    address = f"127.0.0.1:{free_port()}"
    settings = AgentSettings.read(
        listen=address, metrics_listen="", scorer="127.0.0.1:1", ledger_url=new_ledger(folder / "ledger.db"),
        api_keys=folder / "keys", lame_duck_seconds=0,
    )  # fmt: skip
    task = asyncio.create_task(serve(settings, False))
    try:
        yield address
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def expect_status(code: grpc.StatusCode) -> Iterator[None]:
    """Check that the block fails with a status."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield
    assert caught.value.code() == code, caught.value.details()


async def _status(channel: grpc.aio.Channel, path: str, key: str) -> tuple[grpc.StatusCode, Any]:
    """Return the status of an empty request: a permitted caller gets an error about the request, or an answer."""
    method = METHODS[path]
    request = GetMessageClass(method.input_type)()
    read = GetMessageClass(method.output_type).FromString
    metadata = (("x-api-key", key),)
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    answering: Any = kind(path, type(request).SerializeToString, read)(request, timeout=20, metadata=metadata)
    try:
        if method.server_streaming:
            async for _ in answering:
                answering.cancel()  # one answer is enough: watching never ends
                break
        else:
            await answering
    except grpc.aio.AioRpcError as error:
        return error.code(), rpc_status.from_call(error)
    return grpc.StatusCode.OK, None


async def test_each_role_may_do_what_the_table_says(keys: dict[str, str], tmp_path: Path) -> None:
    """Every RPC with every role: others get PERMISSION_DENIED that names the required role, permitted ones never."""
    async with agent(tmp_path) as address, grpc.aio.insecure_channel(address) as channel:
        await channel.channel_ready()
        for path, allowed in ROLES.items():
            for role, key in keys.items():
                code, rich = await _status(channel, path, key)
                may = (role or "legacy") in allowed
                assert (code == grpc.StatusCode.PERMISSION_DENIED) != may, (path, role, code)
                if not may:
                    assert f'value: "{allowed[0]}"' in str(rich).replace("\\n", "\n") or allowed[0] in rich.message


def test_keys_get_roles(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A key is made with a role, by default shop; its role can be changed; an unknown role is refused."""
    file = ("--file", str(tmp_path / "keys"))
    for arguments in (("add", "a"), ("add", "b", "--role", "auditor"), ("role", "a", "admin")):
        assert call("keys", *arguments, *file).returncode == 0
    listed = call("keys", "list", *file).stdout.split()
    assert listed == ["a", "admin", "b", "auditor"]
    (tmp_path / "keys").write_text(f"a:{'0' * 64}:king\n")
    assert "line 1" in error_of_command(capsys, "keys", "list", *file)
