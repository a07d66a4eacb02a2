"""TLS of servers and between them."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import trustme
from structlog.testing import capture_logs

from generated.vouch.v1 import agent_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.access import tls
from runtime.access.tls import ReloadingCertificates, ServerFiles
from runtime.telemetry.logging import get_logger
from testing.inputs.orders import message
from testing.requests import code_of
from testing.servers.certificates import Certificates
from testing.servers.processes import Stack, run
from testing.servers.replicas import Replica, agent, running, scorer
from testing.waiting import wait_for

INFO = pb.GetModelInfoRequest()


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority for one test."""
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA, models: Path, tmp_path: Path) -> Iterator[tuple[Replica, Path]]:
    """Run a scorer that requires client certificates; yield it and the folder with the files."""
    served = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    served.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    served.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    replica = scorer(tmp_path, models)
    replica.settings = dict(replica.settings) | {
        "VOUCH_ML_TLS_CERTIFICATE": str(tmp_path / "cert.pem"),
        "VOUCH_ML_TLS_KEY": str(tmp_path / "key.pem"),
        "VOUCH_ML_TLS_CLIENT_CA": str(tmp_path / "ca.pem"),
    }
    with running(replica):
        wait_for(replica.serving, what="the scorer")
        yield replica, tmp_path


def test_mutual_tls(authority: trustme.CA, certified: tuple[Replica, Path]) -> None:
    """With a client CA, a caller needs TLS and a certificate of that CA; the agent connects with its settings."""
    replica, folder = certified
    ca = (folder / "ca.pem").read_bytes()
    mine = authority.issue_cert("caller")
    other = trustme.CA().issue_cert("caller")
    pairs = [
        (mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes(), "OK"),
        (other.private_key_pem.bytes(), other.cert_chain_pems[0].bytes(), "UNAVAILABLE"),
        (None, None, "UNAVAILABLE"),
    ]
    for key, certificate, wanted in pairs:
        with grpc.secure_channel(replica.address, grpc.ssl_channel_credentials(ca, key, certificate)) as channel:
            assert code_of(ScoringServiceStub(channel).GetModelInfo, INFO) == wanted
    with grpc.insecure_channel(replica.address) as channel:
        assert code_of(ScoringServiceStub(channel).GetModelInfo, INFO) == "UNAVAILABLE"
    mine.private_key_pem.write_to_path(str(folder / "agent-key.pem"))
    mine.cert_chain_pems[0].write_to_path(str(folder / "agent-cert.pem"))
    front = agent(folder, replica.address)
    front.settings = dict(front.settings) | {
        "VOUCH_AGENT_SCORER_TLS_CA": str(folder / "ca.pem"),
        "VOUCH_AGENT_SCORER_TLS_CERTIFICATE": str(folder / "agent-cert.pem"),
        "VOUCH_AGENT_SCORER_TLS_KEY": str(folder / "agent-key.pem"),
    }
    with running(front), grpc.insecure_channel(front.address) as channel:
        wait_for(front.listening, what="the agent listening")
        request = agent_service_pb2.ReviewRequest(transaction=message())
        wait_for(lambda: code_of(AgentServiceStub(channel).Review, request) == "OK", what="a review over mutual TLS")


@pytest.mark.parametrize("missing", ["VOUCH_ML_TLS_KEY", "VOUCH_ML_TLS_CERTIFICATE"])
def test_half_a_pair_stops_the_start(missing: str, models: Path, tmp_path: Path) -> None:
    """A certificate without its key, or a file that is none, is exit code 2 with one line."""
    (tmp_path / "x.pem").write_text("no certificate")
    both = dict.fromkeys(("VOUCH_ML_TLS_KEY", "VOUCH_ML_TLS_CERTIFICATE"), str(tmp_path / "x.pem"))
    stack = Stack(tmp_path, models, settings={name: value for name, value in both.items() if name != missing})
    done = run("-m", "ml_server", env=stack.environment())
    assert (done.returncode, "must be set together" in done.stderr) == (2, True)
    done = run("-m", "ml_server", env=Stack(tmp_path, models, settings=both).environment())
    assert (done.returncode, "not in PEM format" in done.stderr) == (2, True)


def test_an_unusable_pair_is_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusable pair is logged once, however many connect; the next valid ones are loaded at once."""
    monkeypatch.setattr(tls, "_log", get_logger())  # a logger without earlier settings
    certificates = Certificates(tmp_path / "certificates")
    watched = ReloadingCertificates(ServerFiles(*certificates.pair))
    assert watched() is None
    with capture_logs() as logged:
        certificates.write_wrong_key()
        assert [watched() for _ in range(5)] == [None] * 5
        certificates.pair[1].unlink()
        assert [watched() for _ in range(5)] == [None] * 5
        certificates.renew()
        assert watched() is not None and watched() is None
        certificates.renew()
        assert watched() is not None and watched() is None
    lines = [line["event"] for line in logged]
    assert lines == ["certificate not replaced"] * 2 + ["certificate replaced"] * 2
