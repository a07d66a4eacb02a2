"""Host checks: without keys, every route of every HTTP listener answers its own names only (DNS rebinding)."""

import http.client
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from fastapi import FastAPI
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.routing import Mount, Route

from console.application import ROUTES
from http_bridge import agent as agent_rest
from http_bridge import ml as scorer_rest
from runtime.access.keys import digest
from runtime.web.exposition import PATHS
from runtime.web.request_origin import host_name, is_allowed_host
from stack.edge_config.access import METRICS_PATHS
from testing.servers.processes import Stack
from testing.servers.replicas import envoy
from testing.waiting import wait_for
from tests.listeners.conftest import LISTENERS, Served

pytestmark = pytest.mark.envoy
REFUSED = (403, 421)
FOREIGN = [
    "evil.example", "evil.example:{port}", "EVIL.example", "localhost.evil.example", "127.0.0.1.evil.example",
    "evil.example.", "localhost@evil.example", "user@localhost", "user:secret@127.0.0.1:{port}", "evillocalhost",
    "localhost..", "10.9.8.7", "192.0.2.1:{port}", "[2001:db8::1]", "[::2]:{port}", "::1", "[::1", "[::1]x", "127.1",
    "0x7f000001", "2130706433", "127.0.0.256", "127.0.0.1.1", "0127.0.0.1", "localhost:x", "localhost:999999",
    "localhost, evil.example", "localhost evil.example", "0.0.0.0", "loc%61lhost", "http://localhost", "*", "",
]  # fmt: skip
OWN = [
    "localhost", "localhost:{port}", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:{port}", "127.0.0.1:1", "127.8.9.1",
    "[::1]", "[::1]:{port}",
]  # fmt: skip


def exchange(port: int, sent: bytes) -> tuple[int, bytes]:
    """Return status, headers and body of an answer; status 0 if the connection is closed without one."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(sent)
        answer = http.client.HTTPResponse(connection, method=sent.split(b" ", 1)[0].decode())
        try:
            answer.begin()
            return answer.status, bytes(answer.headers) + b"\n\n" + answer.read()
        except (http.client.BadStatusLine, ConnectionError):
            return 0, b""


def request(method: str, path: str, *hosts: str, body: bytes = b"", **headers: str) -> bytes:
    """Return a request with the given Host headers."""
    lines = [f"{method} {path} HTTP/1.1", *(f"Host: {host}" for host in hosts), "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if method not in ("GET", "HEAD"):
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def paths_of(routes: Any) -> set[str]:
    """Yield a path for each route, with values for its parameters."""
    found = set()
    for route in routes:
        if isinstance(route, Mount):
            found.add(f"{route.path}/console.css")
        elif isinstance(route, Route):
            found.add("/".join("x" if part.startswith("{") else part for part in route.path.split("/")))
    return found


def app_paths(app: FastAPI) -> set[str]:
    """Return the paths of a REST app."""
    return {
        path
        for path in paths_of(app.routes) | {getattr(one, "path", "") for one in app.routes}
        if path and "{" not in path
    }


REST_AGENT, REST_ML = app_paths(agent_rest.app), app_paths(scorer_rest.app)
TRANSCODED = {"/v1/cases", "/v1/decisions", "/v1/agent", "/v1/model", "/v1/labels", "/v1/cases:watch", "/v1/reviewers"}
ROUTED = {
    "rest_ml": REST_ML,
    "rest_agent": REST_AGENT,
    "alone": REST_AGENT,
    "console": paths_of(ROUTES),
    "metrics": {*PATHS},
    "edge": REST_AGENT | REST_ML | paths_of(ROUTES) | TRANSCODED,
    "edge_metrics": {*METRICS_PATHS},
}


@pytest.fixture(params=LISTENERS)
def name(request: pytest.FixtureRequest) -> str:
    """Yield the names of the listeners; one without its routes here fails."""
    found: str = request.param
    return found


def test_every_route_refuses_another_host(default_deadlines: Served, name: str) -> None:
    """GET and POST, pages and files, with an invented key and without, get 421 or 403 with one line."""
    port = default_deadlines.ports[name]
    assert {LISTENERS[name].path, "/docs", "/openapi.json", "/static-offline-docs"} & ROUTED[name]
    for path in sorted(ROUTED[name]):
        for method in ("GET", "POST", "HEAD"):
            for headers in ({}, {"X_API_Key": "made-up"}):
                status, answer = exchange(port, request(method, path, f"evil.example:{port}", body=b"{}", **headers))
                assert status in REFUSED, (method, path, headers)
                assert method == "HEAD" or b"Host" in answer.partition(b"\n\n")[2]


def test_other_hosts_are_refused(default_deadlines: Served, name: str) -> None:
    """Other hosts are refused in any notation; a text that is no host may also get 400."""
    port = default_deadlines.ports[name]
    for host in FOREIGN:
        status, _ = exchange(port, request("GET", LISTENERS[name].path, host.format(port=port)))
        assert status in (*REFUSED, 400), host


def test_exactly_one_host_is_required(default_deadlines: Served, name: str) -> None:
    """None or two hosts are refused, also if both are our own."""
    for hosts in ((), ("localhost", "evil.example"), ("evil.example", "localhost"), ("localhost", "localhost")):
        status, _ = exchange(default_deadlines.ports[name], request("GET", LISTENERS[name].path, *hosts))
        assert status in (*REFUSED, 400), hosts
    absolute = request("GET", "http://evil.example" + LISTENERS[name].path, "evil.example")
    assert exchange(default_deadlines.ports[name], absolute)[0] in (*REFUSED, 400, 404)


def test_own_hosts_are_answered(default_deadlines: Served, name: str) -> None:
    """Names and addresses of loopback are accepted, with any port."""
    port = default_deadlines.ports[name]
    for host in OWN:
        assert exchange(port, request("GET", LISTENERS[name].path, host.format(port=port)))[0] == 200, host


def test_grpc_web_of_a_foreign_host_is_refused(default_deadlines: Served) -> None:
    """gRPC-Web from a rebound page gets PERMISSION_DENIED at the edge, and so does gRPC with another authority."""
    port = default_deadlines.ports["edge"]
    for path in ("/vouch.v1.CaseService/ListCases", "/grpc.health.v1.Health/Check"):
        frame = request("POST", path, f"evil.example:{port}", body=b"\0" * 5, x_grpc_web="1")
        _, answer = exchange(port, frame.replace(b"application/json", b"application/grpc-web+proto"))
        assert b"grpc-status: 7" in answer
    options = [("grpc.default_authority", "evil.example")]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel, pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)
    assert caught.value.code() == grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def named(default_deadlines: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Run REST alone and an edge with further hosts allowed; yield the ports by name."""
    folder = tmp_path_factory.mktemp("named")
    variables = {"VOUCH_WEB_ALLOWED_HOSTS": "Shop.example, [2001:db8::1],10.9.8.7"}
    alone = Stack(folder, folder, variables)
    alone.start("rest_agent")
    options = [
        f"--bridge-agent={default_deadlines.ports['rest_agent']}",
        f"--agent={default_deadlines.stack.ports['agent']}",
    ]
    try:
        with envoy(folder / "log", *options, **variables) as edge:
            ports = {"alone": alone.ports["rest_agent"], "edge": int(edge.rpartition(":")[2])}
            wait_for(lambda: all(listens(port) for port in ports.values()), what="both")
            yield ports
    finally:
        alone.close()


def listens(port: int) -> bool:
    """Return whether a port accepts connections."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_a_setting_names_further_hosts(named: dict[str, int]) -> None:
    """VOUCH_WEB_ALLOWED_HOSTS allows those names, in any case and with any port, and no others."""
    for path, port in (("/docs", named["alone"]), ("/v1/agent", named["edge"])):
        for host in (
            "shop.example",
            "SHOP.example:443",
            "shop.example.",
            "[2001:db8::1]:8080",
            "10.9.8.7",
            "localhost",
        ):
            assert exchange(port, request("GET", path, host))[0] == 200, (path, host)
        for host in ("evil.example", "xshop.example", "shop.example.evil", "[2001:db8::2]", "10.9.8.8"):
            assert exchange(port, request("GET", path, host))[0] in REFUSED, (path, host)


def test_with_keys_hosts_are_free(tmp_path: Any) -> None:
    """If the bridge requires keys, other host names are accepted, and get 401 without a key: a page has none."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest('vouch_key')}:shop\n")
    alone = Stack(tmp_path, tmp_path, {"VOUCH_HTTP_API_KEYS": str(keys)})
    alone.start("rest_agent")
    try:
        port = alone.ports["rest_agent"]
        wait_for(lambda: listens(port), what="REST")
        assert exchange(port, request("GET", "/docs", "vouch.internal"))[0] == 200
        assert exchange(port, request("GET", "/api/v1/agent/info", "vouch.internal"))[0] == 401
        assert exchange(port, request("GET", "/api/v1/agent/info", "vouch.internal", X_API_Key="vouch_key"))[0] == 503
    finally:
        alone.close()


def test_the_own_address_is_answered() -> None:
    """The address of the connection itself is accepted: probes use it, and no page can have it as its name."""
    assert is_allowed_host(["10.1.2.3:8001"], (), "10.1.2.3")
    assert is_allowed_host(["[2001:db8::7]:8001"], (), "2001:db8::7")
    assert not is_allowed_host(["10.1.2.4"], (), "10.1.2.3") and not is_allowed_host(
        ["evil.example"], (), "evil.example"
    )
    assert is_allowed_host(["anything"], ("*",)) and host_name("A.b.:99999") == "a.b"
