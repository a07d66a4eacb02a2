"""Callers without a key: the local user, forwarded calls, certificates, and calls that no role may make."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
import trustme
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from agent_server.running import running as agent_running
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import scoring_service_pb2
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from ml_server.serving.running import ROLES as SCORER_ROLES
from ml_server.serving.running import running as scorer_running
from ml_server.settings import MlSettings
from runtime.access import SecurityError
from runtime.access.caller import ANONYMOUS, Caller, read_certificate_roles
from runtime.errors import Forbidden, Unauthenticated
from runtime.rpc.authentication import LOCAL_USER, Authenticator
from runtime.rpc.guard import _authorise
from testing.ledger.templates import new_ledger
from testing.waiting import free_port
from tests.agent.services.test_roles import METHODS as AGENT_METHODS

SCORER_METHODS = {
    f"/{service.full_name}/{method.name}": method
    for service in scoring_service_pb2.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
ELSEWHERE = "10.9.8.7"


@asynccontextmanager
async def servers(folder: Path, **more: Any) -> AsyncIterator[dict[str, str]]:
    """Run a real agent and a real scorer in this process; yield their addresses by method path."""
    agent, scorer = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    agent_settings = AgentSettings.read(
        listen=agent, metrics_listen="", scorer="127.0.0.1:1", ledger_url=new_ledger(folder / "ledger.db"),
        lame_duck_seconds=0, **more,
    )  # fmt: skip
    scorer_settings = MlSettings.read(
        listen=scorer, metrics_listen="", models_dir=folder, lame_duck_seconds=0, **more
    )  # fmt: skip
    async with (
        agent_running(agent_settings, handle_signals=False),
        scorer_running(scorer_settings, handle_signals=False),
    ):
        yield dict.fromkeys(AGENT_METHODS, agent) | dict.fromkeys(SCORER_METHODS, scorer)


async def code_of(
    channel: grpc.aio.Channel, path: str, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...]
) -> grpc.StatusCode:
    """Return the status of an empty request; OK once a stream sends something or stays open for a moment."""
    request, answer = GetMessageClass(method.input_type)(), GetMessageClass(method.output_type)
    call = channel.unary_stream if method.server_streaming else channel.unary_unary
    under_way: Any = call(path, type(request).SerializeToString, answer.FromString)(
        request, timeout=30, metadata=metadata
    )
    try:
        if method.server_streaming:
            async for _ in under_way:
                under_way.cancel()
                break
        else:
            await under_way
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("forwarded", [ELSEWHERE, f"127.0.0.1, {ELSEWHERE}", f"{ELSEWHERE}, 127.0.0.1", "unknown", ""])
async def test_calls_forwarded_from_other_machines_need_a_key(tmp_path: Path, forwarded: str) -> None:
    """Every call of both services is UNAUTHENTICATED if a proxy forwards it from an address beyond this machine."""
    metadata = (("x-forwarded-for", forwarded),)
    methods = AGENT_METHODS | SCORER_METHODS
    async with servers(tmp_path) as addresses:
        for path, method in methods.items():
            async with grpc.aio.insecure_channel(addresses[path]) as channel:
                assert await code_of(channel, path, method, metadata) == grpc.StatusCode.UNAUTHENTICATED, path


async def test_local_calls_through_a_proxy_need_none(tmp_path: Path) -> None:
    """If the edge forwards loopback addresses only, its caller is the local user."""
    methods = AGENT_METHODS | SCORER_METHODS
    refusals = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    async with servers(tmp_path) as addresses:
        for path, method in methods.items():
            if method.name == "WatchCases":
                continue  # opens, and waits for changes
            async with grpc.aio.insecure_channel(addresses[path]) as channel:
                code = await code_of(channel, path, method, (("x-forwarded-for", "127.0.0.1, ::1"),))
                assert code not in refusals, path


async def test_insecure_callers_from_elsewhere_get_the_least_role(tmp_path: Path) -> None:
    """With --insecure a caller from another machine has the role shop, for every call, and may not erase persons."""
    forwarded, path = (("x-forwarded-for", ELSEWHERE),), "/vouch.v1.AgentService/GetAgentInfo"
    async with servers(tmp_path, insecure=True) as addresses, grpc.aio.insecure_channel(addresses[path]) as channel:
        info = await AgentServiceStub(channel).GetAgentInfo(pb.GetAgentInfoRequest(), metadata=forwarded, timeout=30)
        assert info.caller_role == "shop"
        for privacy in (path for path in AGENT_METHODS if "PrivacyService" in path):
            code = await code_of(channel, privacy, AGENT_METHODS[privacy], forwarded)
            assert code == grpc.StatusCode.PERMISSION_DENIED, privacy


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("ipv4:127.0.0.1:5", True), ("ipv4:127.8.9.1:5", True), ("ipv6:[::1]:5", True), ("ipv6:%5B::1%5D:5", True),
        ("unix:/run/x", True), ("unix:", True), ("inprocess:", True),
        ("ipv4:10.9.8.7:5", False), ("ipv6:[2001:db8::1]:5", False), ("ipv6:%5B2001:db8::1%5D:5", False),
    ],
)  # fmt: skip
def test_peers_of_this_machine(peer: str, local: bool) -> None:
    """Without keys a peer on this machine is the local user; another is refused, or a shop with --insecure."""
    context = SimpleNamespace(peer=lambda: peer, invocation_metadata=lambda: ())
    if local:
        assert Authenticator().caller_of({}, context) == LOCAL_USER
    else:
        with pytest.raises(Unauthenticated):
            Authenticator().caller_of({}, context)
        assert Authenticator(insecure=True).caller_of({}, context) == ANONYMOUS


async def test_certificates_get_mapped_roles(tmp_path: Path) -> None:
    """A caller with a certificate and no key has the role that its name maps to; without a mapping, a shop's."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    files = {
        "tls_certificate": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem", "tls_client_ca": tmp_path / "ca.pem",
        "certificate_roles": "console.example=reviewer, boss=admin",
    }  # fmt: skip
    certificates = [
        (authority.issue_cert("console.example"), Caller("console.example", "reviewer")),
        (authority.issue_cert("other.example"), Caller("other.example", "shop")),
        (authority.issue_cert("b.example", common_name="boss"), Caller("boss", "admin")),
    ]
    async with servers(tmp_path, **files) as addresses:
        for certificate, caller in certificates:
            credentials = grpc.ssl_channel_credentials(
                authority.cert_pem.bytes(), certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
            )
            target = addresses["/vouch.v1.AgentService/GetAgentInfo"]
            async with grpc.aio.secure_channel(target, credentials) as channel:
                info = await AgentServiceStub(channel).GetAgentInfo(pb.GetAgentInfoRequest(), timeout=30)
                assert Caller(info.caller, info.caller_role) == caller
                erase = "/vouch.v1.PrivacyService/ErasePerson"
                code = await code_of(channel, erase, AGENT_METHODS[erase], ())
                assert (code == grpc.StatusCode.PERMISSION_DENIED) == (caller.role != "admin")
                passed_on = await code_of(channel, erase, AGENT_METHODS[erase], (("x-forwarded-for", ELSEWHERE),))
                assert passed_on == grpc.StatusCode.UNAUTHENTICATED, "the certificate is the proxy's, not the caller's"


@pytest.mark.parametrize("text", ["a", "a=king", "=shop", "a=shop,a=admin", "a=shop;b=admin", ","])
def test_wrong_certificate_roles_are_refused(text: str) -> None:
    """An invalid mapping is refused, and the wrong entry is named."""
    with pytest.raises(SecurityError, match="role"):
        read_certificate_roles(text)


def test_every_scorer_rpc_has_its_roles() -> None:
    """Every RPC of the scorer is in its roles table, and the table has no others."""
    assert SCORER_ROLES.keys() == SCORER_METHODS.keys()


@pytest.mark.parametrize("role", ["shop", "reviewer", "auditor", "admin", "legacy", ""])
def test_a_call_without_a_row_is_denied(role: str) -> None:
    """An RPC that is not in the roles table is denied, also for an admin."""
    with pytest.raises(Forbidden):
        _authorise(Caller("x", role), ())
