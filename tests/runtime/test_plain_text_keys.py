"""API keys of our clients: never sent to another machine in plain text, and sent by TLS if it is set."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from vouch_client.connection import connect

from conformance.command import main as conformance
from load_test.cli import main as load
from load_test.review_zone import main as review_zone
from runtime.access import SecurityError
from runtime.access.loopback import is_loopback_target, require_encryption
from testing.commands import error_of_command
from testing.servers.processes import call
from testing.servers.replicas import Replica, agent, running
from testing.waiting import wait_for

HERE = [
    "127.0.0.1:1", "127.9.9.9:1", "localhost:1", "localhost", "[::1]:1", "unix:/run/x", "dns:///localhost:1",
    "dns://8.8.8.8/127.0.0.1:1", "ipv4:127.0.0.1:1,127.0.0.2:2", "ipv6:[::1]:1", "http://localhost:8001", "http://[::1]:1/x",
]  # fmt: skip
ELSEWHERE = [
    "10.9.8.7:1", "agent:50052", "dns:///agent:1", "ipv4:127.0.0.1:1,10.9.8.7:1", "[2001:db8::1]:1", "localhost.evil.example:1",
    "127.0.0.1.evil.example:1", "http://10.9.8.7:8001", "http://localhost@10.9.8.7/", "HTTP://x",
]  # fmt: skip


@pytest.mark.parametrize("target", HERE)
def test_targets_on_this_machine(target: str) -> None:
    """A key may be sent in plain text to loopback and to a socket file."""
    assert is_loopback_target(target)
    require_encryption(target, encrypted=False, advice="")


@pytest.mark.parametrize("target", ELSEWHERE)
def test_targets_elsewhere(target: str) -> None:
    """A key may be sent to any other name or address by TLS only."""
    assert not is_loopback_target(target)
    require_encryption(target, encrypted=True, advice="")
    with pytest.raises(SecurityError, match=re.escape(target)):
        require_encryption(target, encrypted=False, advice="")


COMMANDS = {
    "cases": ("list",), "reviewers": (), "outcomes": ("import", "outcomes.csv"),
    "policy": ("test", "policy.yaml", "--dataset", "orders.csv"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_plain_text(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that calls a service refuses to send its key elsewhere without TLS, and says what to set."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outcomes.csv").write_text("transaction_id,kind\nt1,chargeback\n")
    (tmp_path / "policy.yaml").write_text("minimum_evidence: 4\n")
    (tmp_path / "orders.csv").write_text("transaction_id,timestamp,user_id\nt1,2025-01-01 00:00:00,u1\n")
    for variable in ("VOUCH_CLIENT_AGENT", "VOUCH_AGENT_SCORER"):
        monkeypatch.setenv(variable, "agent.example:50052")
    for variable in ("VOUCH_CLIENT_API_KEY", "VOUCH_AGENT_SCORER_API_KEY"):
        monkeypatch.setenv(variable, "vouch_secret")
    output = error_of_command(capsys, command, *COMMANDS[command])
    assert "in plain text" in output
    assert "_TLS_CA" in output
    assert "vouch_secret" not in output


@pytest.mark.parametrize("main", [load, review_zone, conformance])
def test_rest_clients_refuse_plain_text(
    main: Callable[..., int], few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The load tester, its review zone and the conformance run refuse an http address of another machine with a key."""
    monkeypatch.setenv("VOUCH_LOAD_API_KEY", "vouch_secret")
    url = "http://10.9.8.7:8001"
    arguments = ["--target", url, "--key", "k"] if main is conformance else ["--api-url", url, "--dataset", str(few)]
    assert main(arguments) == 2
    assert "in plain text" in capsys.readouterr().err


def test_the_client_library_refuses_plain_text() -> None:
    """`vouch_client.connect` sends a key to another machine by TLS only, unless told otherwise by an option."""
    for target in ELSEWHERE:
        if "http" in target.lower() or target.startswith("ipv4"):
            continue  # not targets of this function
        with pytest.raises(ValueError, match="plain text"), connect(target, key="k"):
            pass
    for target in ("127.0.0.1:1", "localhost:1", "dns:///localhost:1", "[::1]:1", "unix:/run/x"):
        with connect(target, key="k"):
            pass
    with connect("agent.example:1", key="k", tls=True), connect("agent.example:1"):
        pass
    with connect("agent.example:1", key="k", insecure=True):
        pass


def test_commands_reach_an_agent_by_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vouch cases` works through TLS with the agent's CA, and reports that it cannot reach the agent without it."""
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    replica: Replica = agent(tmp_path, "127.0.0.1:1")
    replica.settings = dict(replica.settings) | {
        "VOUCH_AGENT_TLS_CERTIFICATE": str(tmp_path / "cert.pem"), "VOUCH_AGENT_TLS_KEY": str(tmp_path / "key.pem"),
    }  # fmt: skip
    with running(replica):
        wait_for(replica.listening, what="the agent listening")
        monkeypatch.setenv("VOUCH_CLIENT_AGENT", replica.address)
        assert call("cases", "list").returncode == 3
        monkeypatch.setenv("VOUCH_CLIENT_TLS_CA", str(tmp_path / "ca.pem"))
        assert call("cases", "list").returncode == 0
