"""Signals, workers, and their shared port."""

import os
import signal
from pathlib import Path

import grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from testing.requests import code_of
from testing.servers.processes import run
from testing.servers.replicas import running, scorer
from testing.waiting import START_SECONDS, wait_for

INFO = pb.GetModelInfoRequest()


def test_a_second_sigterm_ends_at_once(models: Path, tmp_path: Path) -> None:
    """The first SIGTERM drains running calls; a second one ends the server at once, with exit code 0."""
    replica = scorer(tmp_path, models)
    replica.settings = dict(replica.settings) | {"VOUCH_ML_LAME_DUCK_SECONDS": "60"}
    with running(replica):
        wait_for(replica.serving, what="the scorer")
        assert replica.process is not None
        replica.process.send_signal(signal.SIGTERM)
        wait_for(lambda: "draining" in replica.log.read_text(), what="the drain")
        assert replica.process.poll() is None
        with grpc.insecure_channel(replica.address) as channel:  # a lame duck still answers
            assert code_of(ScoringServiceStub(channel).GetModelInfo, INFO) == "OK"
        replica.process.send_signal(signal.SIGTERM)
        assert replica.process.wait(START_SECONDS) == 0  # far below the drain time


def test_workers_do_not_outlive_their_supervisor(models: Path, tmp_path: Path) -> None:
    """After kill -9 of the supervisor, its workers drain and end by themselves."""
    replica = scorer(tmp_path, models, workers=2)
    replica.start()
    try:
        wait_for(replica.serving, what="two workers")
        pids = replica.pids()
        assert len(pids) == 2
        replica.signal(signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), what="the end of the workers")
    finally:
        assert replica.process is not None
        replica.process.wait(START_SECONDS)


def test_a_sigterm_to_the_whole_group_drains(models: Path, tmp_path: Path) -> None:
    """If a service manager signals all processes, supervisor and workers still end in order, with exit code 0."""
    replica = scorer(tmp_path, models, workers=2)
    replica.own_group = True
    replica.start()
    assert replica.process is not None
    try:
        wait_for(replica.serving, what="two workers")
        os.killpg(replica.process.pid, signal.SIGTERM)
        assert replica.process.wait(START_SECONDS) == 0
        assert '"codes": [0, 0]' in replica.log.read_text()
    finally:
        if replica.process.poll() is None:
            replica.stop()


def test_two_supervisors_do_not_share_a_port(models: Path, tmp_path: Path) -> None:
    """Workers share a port among themselves, but not with another server's: that one exits with 2."""
    first = scorer(tmp_path, models, workers=2)
    with running(first):
        wait_for(first.serving, what="two workers")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
        settings = {"VOUCH_ML_LISTEN": first.address, "VOUCH_ML_METRICS_LISTEN": "", **first.settings}
        done = run("-m", "ml_server", "--workers", "2", env=clean | settings)
    assert done.returncode == 2
    assert first.address in done.stderr
