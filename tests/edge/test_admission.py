"""Admission at the edge: no remote caller without keys, and no PrivacyService unless a setting allows it."""

import asyncio
import os
from typing import Any

import grpc
import httpx
import pytest

from generated.vouch.v1 import privacy_service_pb2 as privacy
from generated.vouch.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from runtime.settings import SettingsError
from stack.settings import SERVICE_KEYS, EdgeSettings
from testing.requests import code_of
from testing.servers.processes import ROOT, Stack, run
from tests.edge.conftest import Open

TLS = {"VOUCH_EDGE_TLS_CERTIFICATE": "cert.pem", "VOUCH_EDGE_TLS_KEY": "key.pem"}
PRIVATE = ["/v1/privacy:find", "/v1/privacy:export", "/v1/privacy:erase", "/v1/privacy:expire"]


@pytest.mark.parametrize("address", ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1"])
def test_remote_callers_need_keys(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """With or without TLS, the edge starts only with keys or a setting that opens it; certificates are no keys."""
    monkeypatch.setenv("VOUCH_EDGE_ADDRESS", address)
    for variables in (TLS, {"VOUCH_EDGE_INSECURE": "true"}, TLS | {"VOUCH_AGENT_TLS_CLIENT_CA": "ca.pem"}):
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, value)
            for keys in (
                {},
                {SERVICE_KEYS[0]: "keys"},
                {SERVICE_KEYS[1]: "keys"},
                dict.fromkeys(SERVICE_KEYS, ""),
            ):
                with patched.context() as some:
                    for name, value in keys.items():
                        some.setenv(name, value)
                    with pytest.raises(SettingsError, match="VOUCH_EDGE_SERVICES_HAVE_KEYS"):
                        EdgeSettings.read()
            with patched.context() as all_keys:
                for name in SERVICE_KEYS:
                    all_keys.setenv(name, "keys")
                assert EdgeSettings.read().services_have_keys
                all_keys.setenv("VOUCH_EDGE_SERVICES_HAVE_KEYS", "false")
                with pytest.raises(SettingsError, match="ANONYMOUS"):
                    EdgeSettings.read()
            patched.setenv("VOUCH_EDGE_ANONYMOUS", "true")
            assert not EdgeSettings.read().services_have_keys


def test_the_command_says_so() -> None:
    """`envoy/run.py` and `vouch up` exit with 2 and a message, before anything listens."""
    environment = os.environ | TLS | {"VOUCH_EDGE_ADDRESS": "0.0.0.0", "PATH": ""}
    for command in (["envoy/run.py"], ["vouch.py", "up"]):
        done = run(*command, cwd=ROOT, env=environment)
        assert done.returncode == 2
        assert "VOUCH_EDGE_SERVICES_HAVE_KEYS" in done.stderr and "Traceback" not in done.stderr


def privacy_calls(address: str) -> dict[str, str]:
    """Return the status of each call of PrivacyService, for a person without records."""
    with grpc.insecure_channel(address) as channel:
        stub: Any = PrivacyServiceStub(channel)
        return {
            "find": code_of(stub.FindPerson, privacy.FindPersonRequest(user_id="nobody-of-this-name")),
            "export": code_of(lambda *request, **named: list(stub.ExportPerson(*request, **named)),
                              privacy.ExportPersonRequest(user_id="nobody-of-this-name")),
            "erase": code_of(stub.ErasePerson, privacy.ErasePersonRequest(user_id="nobody-of-this-name")),
        }  # fmt: skip


@pytest.mark.envoy
def test_privacy_is_not_routed(stack: Stack) -> None:
    """PrivacyService is not routed, as gRPC or as JSON, with any method or key."""
    assert set(privacy_calls(stack.address("edge")).values()) == {"UNIMPLEMENTED"}
    for path in PRIVATE:
        for method in ("POST", "GET"):
            answer = httpx.request(method, stack.url("edge") + path, json={"user_id": "u"}, headers={"x-api-key": "k"})
            assert answer.status_code == 404


@pytest.mark.envoy
def test_a_setting_routes_privacy(open_edge: Open) -> None:
    """With VOUCH_EDGE_PRIVACY the service answers on all of its calls and paths."""
    url = open_edge(PRIVACY="true")
    assert "UNIMPLEMENTED" not in privacy_calls(url.removeprefix("http://")).values()
    for path in PRIVATE:
        assert httpx.get(url + path).status_code == 405
        answer = httpx.post(url + path, json={"user_id": "nobody-of-this-name"})
        assert answer.status_code in (200, 400, 404) and "there is no such path" not in answer.text


def test_the_own_key_of_the_bridge_is_for_this_machine() -> None:
    """A caller without a key gets the bridge's own key only from loopback, and not through a forwarding proxy."""
    from pydantic import SecretStr

    from http_bridge.middleware.access import AccessMiddleware
    from http_bridge.settings import HttpSettings

    passed: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(dict(scope["state"]["metadata"]).get("x-api-key"))

    gate = AccessMiddleware(app, HttpSettings(api_key=SecretStr("own"), insecure=True), lambda *_: None)

    def key_for(peer: str, **headers: str) -> Any:
        listed = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "GET", "path": "/api/v1/agent/info", "headers": listed, "client": (peer, 1)}
        asyncio.run(gate(scope | {"server": ("127.0.0.1", 8001), "state": {}}, None, None))  # type: ignore[arg-type]
        return passed.pop()

    assert key_for("127.0.0.1") == "own"
    assert key_for("::1", x_forwarded_for="127.0.0.1") == "own"
    assert key_for("127.0.0.1", x_api_key="mine", x_forwarded_for="192.0.2.9") == "mine"
    for peer, headers in (
        ("192.0.2.9", {}), ("127.0.0.1", {"x_forwarded_for": "192.0.2.9"}), ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"x_forwarded_for": "127.0.0.1, 192.0.2.9"}), ("127.0.0.1", {"x_forwarded_for": "192.0.2.9,127.0.0.1"}),
        ("127.0.0.1", {"x_forwarded_for": ""}), ("127.0.0.1", {"x_real_ip": "192.0.2.9"}),
        ("127.0.0.1", {"x_forwarded_for": "unknown"}),
    ):  # fmt: skip
        assert key_for(peer, **headers) is None, (peer, headers)
