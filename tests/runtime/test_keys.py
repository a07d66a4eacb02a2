"""API keys, and servers that stay on loopback without them."""

import time
from pathlib import Path

import grpc
import httpx
import pytest

from generated.vouch.v1 import agent_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.access import SecurityError
from runtime.access.caller import Caller
from runtime.access.keys import ApiKeys, digest, new_key, read_keys
from runtime.access.loopback import is_loopback, require_loopback
from testing.inputs.orders import message
from testing.requests import code_of
from testing.servers.processes import Stack, run
from testing.waiting import START_SECONDS, free_port

# -- keys


def test_keys_are_hashed_named_and_replaced_without_a_restart(tmp_path: Path) -> None:
    """Keys are shown once and stored as digests; adding and removing one applies to a running process."""
    path = tmp_path / "keys"
    made = [run("-m", "vouch", "keys", "--file", str(path), "add", name) for name in ("shop", "ops")]
    shop, ops = (done.stdout.strip() for done in made)
    assert shop != ops
    assert shop not in path.read_text()
    assert f"shop:{digest(shop)}" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    keys = ApiKeys(path)
    assert keys.holder_of(shop) == Caller("shop", "shop")
    assert (keys.holder_of(ops), keys.holder_of("vouch_x")) == (Caller("ops", "shop"), None)
    assert run("-m", "vouch", "keys", "--file", str(path), "remove", "shop").returncode == 0
    time.sleep(1.1)
    assert (keys.holder_of(shop), keys.holder_of(ops)) == (None, Caller("ops", "shop"))
    path.write_text("half a li")
    time.sleep(1.1)
    assert keys.holder_of(ops) == Caller("ops", "shop")  # a broken file locks nobody out
    again = run("-m", "vouch", "keys", "--file", str(path), "add", "x")
    assert (again.returncode, "line 1" in again.stderr) == (2, True)


@pytest.mark.parametrize("text", ["name", "a:b", f"a:{'0' * 64}\na:{'1' * 64}", "\0"])
def test_broken_key_files_are_refused(text: str, tmp_path: Path) -> None:
    """An unusable key file stops the start, and the error names the line."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SecurityError, match="line"):
        read_keys(path)


def test_only_loopback_is_open_to_anybody() -> None:
    """Beyond loopback a server needs keys, client certificates or an explicit setting."""
    for host in ("127.0.0.1", "localhost", "[::1]", "127.9.9.9"):
        assert is_loopback(host)
        require_loopback(f"{host}:1", guarded=False, insecure=False, variable="V")
    for host in ("0.0.0.0", "[::]", "10.0.0.1", "shop.example", ""):
        with pytest.raises(SecurityError, match="V="):
            require_loopback(f"{host}:1", guarded=False, insecure=False, variable="V")
        require_loopback(f"{host}:1", guarded=True, insecure=False, variable="V")
        require_loopback(f"{host}:1", guarded=False, insecure=True, variable="V")


@pytest.mark.parametrize("module", ["ml_server", "agent_server"])
def test_an_open_server_does_not_start(module: str, models: Path, tmp_path: Path) -> None:
    """A server on all addresses without keys exits with 2 and says what to do."""
    stack = Stack(tmp_path, models)
    variable = {"ml_server": "VOUCH_ML_LISTEN", "agent_server": "VOUCH_AGENT_LISTEN"}[module]
    done = run("-m", module, env=stack.environment() | {variable: f"0.0.0.0:{free_port()}"})
    assert done.returncode == 2
    assert "vouch keys add" in done.stderr
    assert "--insecure" in done.stderr


def test_every_entry_asks_for_a_key(models: Path, tmp_path: Path) -> None:
    """With keys set, scorer, agent and both bridges refuse callers without one, and work end to end with one."""
    key, own, path = new_key(), new_key(), tmp_path / "keys"
    path.write_text(f"shop:{digest(key)}\nown:{digest(own)}\n")
    names = {f"VOUCH_{service}_API_KEYS": str(path) for service in ("ML", "AGENT", "HTTP")}
    own_keys = {"VOUCH_AGENT_SCORER_API_KEY": own, "VOUCH_HTTP_API_KEY": own}
    stack = Stack(tmp_path, models, settings=names | own_keys)
    try:
        stack.start("ml", "agent", "rest_ml", "rest_agent")
        stack.wait_until_healthy()
        body = {"transaction_id": "t", "user_id": "u", "timestamp": "2025-02-11T10:00:00"}
        for name, path_ in (("rest_ml", "predict"), ("rest_agent", "review")):
            url = f"{stack.url(name)}/api/v1/{path_}"
            assert httpx.post(url, json=body).status_code == 401
            assert httpx.post(url, json=body, headers={"x-api-key": "vouch_wrong"}).status_code == 401
            assert httpx.post(url, json=body, headers={"x-api-key": key}, timeout=START_SECONDS).status_code == 200
            assert (
                httpx.post(
                    url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=START_SECONDS
                ).status_code
                == 200
            )
        for name, stub, method, request in (
            ("ml", ScoringServiceStub, "Predict", pb.PredictRequest(transaction=message())),
            ("agent", AgentServiceStub, "Review", agent_service_pb2.ReviewRequest(transaction=message())),
        ):
            with grpc.insecure_channel(stack.address(name)) as channel:
                call = getattr(stub(channel), method)
                assert code_of(call, request) == "UNAUTHENTICATED"
                assert code_of(call, request, metadata=[("x-api-key", "vouch_wrong")]) == "UNAUTHENTICATED"
                assert code_of(call, request, metadata=[("authorization", f"Bearer {key}")]) == "OK"
        for name in ("ml", "agent", "rest_ml", "rest_agent"):
            assert key not in stack.log(name)
    finally:
        stack.close()
