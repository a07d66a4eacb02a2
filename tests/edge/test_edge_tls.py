"""TLS at the edge and behind it: other authorities' certificates are rejected on both sides."""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from testing.inputs.hostile import ORDER
from testing.servers.certificates import Certificates
from testing.servers.processes import Stack, run
from testing.servers.replicas import Replica, agent, envoy, running, scorer
from testing.waiting import wait_for

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def our_authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return our authority, and its certificates."""
    return Certificates(tmp_path_factory.mktemp("ours") / "certificates")


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return another authority, whose certificates have the same names."""
    return Certificates(tmp_path_factory.mktemp("theirs") / "certificates")


@pytest.fixture(scope="module")
def scorer_behind(
    our_authority: Certificates, models: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replica]:
    """Run a scorer with our certificate that requires client certificates."""
    replica = scorer(tmp_path_factory.mktemp("behind"), models)
    replica.settings = {**replica.settings, **our_authority.settings("VOUCH_ML_", "CLIENT_CA")}
    with running(replica):
        wait_for(replica.serving, what="the scorer")
        yield replica


def test_plain_http_at_a_tls_port_gets_no_answer(our_authority: Certificates, stack: Stack, tmp_path: Path) -> None:
    """An edge with a certificate answers HTTPS and closes plain HTTP without an HTTP answer."""
    ports = (f"--bridge-agent={stack.ports['rest_agent']}", f"--agent={stack.ports['agent']}")
    with envoy(tmp_path / "envoy.log", *ports, **our_authority.settings("VOUCH_EDGE_")) as address:
        wait_for(lambda: our_authority.shown(address) == our_authority.serial, what="the edge")
        answer = httpx.get(
            f"https://{address}/api/v1/health", verify=ssl.create_default_context(cafile=str(our_authority.ca))
        )
        assert answer.status_code == 200 and answer.headers["strict-transport-security"]
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://{address}/api/v1/health")
        with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
            httpx.get(f"https://{address}/api/v1/health")


def test_the_edge_trusts_no_service_of_another_authority(
    our_authority: Certificates, other_authority: Certificates, scorer_behind: Replica, tmp_path: Path
) -> None:
    """An edge that expects the other authority sends no order to a scorer with our certificate, and answers 503."""
    statuses = {}
    for name, ca, shows, wanted in (
        ("right", our_authority, our_authority, 200),
        ("expects theirs", other_authority, our_authority, 503),
        ("shows theirs", our_authority, other_authority, 503),
    ):
        settings = {"VOUCH_EDGE_SERVICES_TLS_CA": str(ca.ca)} | shows.settings("VOUCH_EDGE_SERVICES_")
        with envoy(tmp_path / "envoy.log", f"--scorer={scorer_behind.port}", **settings) as address:
            wait_for(lambda address=address, wanted=wanted: _model_status(address) == wanted, what=name)  # type: ignore[misc]
            statuses[name] = {_model_status(address) for _ in range(3)}
    assert statuses == {"right": {200}, "expects theirs": {503}, "shows theirs": {503}}


def _model_status(address: str) -> int | None:
    try:
        return httpx.get(f"http://{address}/v1/model", timeout=20).status_code
    except httpx.ConnectError:
        return None


def test_the_agent_trusts_no_scorer_of_another_authority(
    our_authority: Certificates, other_authority: Certificates, scorer_behind: Replica, tmp_path: Path
) -> None:
    """An agent that expects the other authority finds our scorer unavailable, and no order is scored."""
    unscored = {}
    for name, ca in (("right", our_authority), ("wrong", other_authority)):
        front = agent(tmp_path, scorer_behind.address, f"sqlite:///{tmp_path / name}.db")
        tls = our_authority.settings("VOUCH_AGENT_SCORER_") | {"VOUCH_AGENT_SCORER_TLS_CA": str(ca.ca)}
        front.settings = {**front.settings, **tls}
        with running(front), envoy(tmp_path / "envoy.log", f"--agent={front.port}") as address:
            wait_for(lambda address=address: _unscored(address) is not None, what="a review")  # type: ignore[misc]
            unscored[name] = _unscored(address)
    assert unscored == {"right": False, "wrong": True}


def _unscored(address: str) -> bool | None:
    """Return whether an order was decided without a score; None if it was not decided."""
    try:
        answer = httpx.post(f"http://{address}/v1/transactions:review", json=ORDER, timeout=20)
    except httpx.ConnectError:
        return None
    return bool(answer.json()["degraded"]) if answer.status_code == 200 else None


@pytest.mark.parametrize("place", ["", "SERVICES_"])
def test_a_pair_that_cannot_be_used_stops_the_edge(
    place: str, our_authority: Certificates, other_authority: Certificates
) -> None:
    """A key of another certificate, or a missing file, is exit code 2 with its name."""
    prefix = f"VOUCH_EDGE_{place}"
    ca = {"VOUCH_EDGE_SERVICES_TLS_CA": str(our_authority.ca)}
    wrong = our_authority.settings(prefix) | ca | {f"{prefix}TLS_KEY": str(other_authority.pair[1])}
    absent = our_authority.settings(prefix) | ca | {f"{prefix}TLS_KEY": "absent.pem"}
    for settings, words in (
        (wrong, "does not match certificate"),
        (absent, "cannot read TLS key absent.pem"),
    ):
        done = run("envoy/run.py", "--check", env=os.environ | settings)
        assert done.returncode == 2 and words in done.stderr, done.stderr
