"""Starting, failing and stopping: in any order, without a scorer, by signals, with taken ports."""

import datetime as dt
import io
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import grpc
import httpx
import pytest
from honcho.printer import Message

from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from stack import up
from testing.inputs.orders import DOCUMENTED, message
from testing.servers.processes import Stack, answers, run
from testing.waiting import START_SECONDS, free_port, wait_for


def review(stack: Stack, transaction_id: str = "test-001") -> httpx.Response:
    """Post the documented order to the agent, with a new id."""
    url = stack.url("rest_agent") + "/api/v1/review"
    return httpx.post(url, json=DOCUMENTED | {"transaction_id": transaction_id}, timeout=START_SECONDS)


def test_start_in_any_order_and_recover(models: Path, tmp_path: Path) -> None:
    """Bridge first, then agent, then scorer: no score until it runs, a clear health, and recovery without a restart."""
    stack = Stack(tmp_path, models)
    try:
        stack.start("rest_agent", "rest_ml")
        wait_for(stack.agent_is("starting"), what="bridge alone")
        assert review(stack).status_code == 503
        wait_for(answers(stack.url("rest_ml") + "/api/v1/health", 503), what="bridge of the scorer")
        assert httpx.get(stack.url("rest_ml") + "/api/v1/health").json()["status"] == "starting"
        stack.start("agent")
        wait_for(lambda: review(stack, "unscored").status_code == 200, what="agent without scorer")
        assert review(stack, "unscored").json()["degraded"] is True
        stack.start("ml")
        wait_for(stack.agent_is("healthy"), what="all up")
        assert review(stack).status_code == 200
        assert stack.stop("ml") == 0
        wait_for(stack.agent_is("degraded"), what="scorer gone")
        answer = review(stack, "unscored again").json()
        assert (answer["decision"], answer["degraded"], answer["legitimacy_score"]) == ("review", True, None)
        stack.start("ml")
        wait_for(stack.agent_is("healthy"), what="scorer back")
        wait_for(lambda: not review(stack, "unscored again").json()["degraded"], what="the score of the degraded case")
    finally:
        stack.close()


def test_without_a_model_the_scorer_waits_for_one(models: Path, tmp_path: Path) -> None:
    """A scorer without a model is unhealthy and says what to run, and serves as soon as there is one."""
    empty = tmp_path / "models"
    stack = Stack(tmp_path, empty)
    try:
        stack.start("ml", "rest_ml")
        url = stack.url("rest_ml") + "/api/v1"
        wait_for(answers(f"{url}/health", 503), what="unhealthy")
        wait_for(lambda: "no model" in httpx.post(f"{url}/predict", json=DOCUMENTED).text, what="scorer up")
        assert httpx.post(f"{url}/predict", json=DOCUMENTED).status_code == 503
        empty.symlink_to(models)
        wait_for(answers(f"{url}/health"), what="healthy")
        assert httpx.post(f"{url}/predict", json=DOCUMENTED).status_code == 200
        assert "vouch train" in stack.log("ml")
    finally:
        stack.close()


def test_sigterm_finishes_what_is_in_flight(models: Path, tmp_path: Path) -> None:
    """A review that waits for its score at SIGTERM is still recorded and answered; then the agent exits with 0."""
    metrics = f"127.0.0.1:{free_port()}"
    settings = {"VOUCH_AGENT_METRICS_LISTEN": metrics, "VOUCH_AGENT_SCORER_TIMEOUT_SECONDS": "60"}
    stack = Stack(tmp_path, models, settings=settings)
    answered: list[httpx.Response] = []
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        scorer = stack.running["ml"]
        scorer.send_signal(signal.SIGSTOP)
        client = threading.Thread(target=lambda: answered.append(review(stack)))
        client.start()
        busy = lambda: "grpc_server_in_flight_requests 1.0" in httpx.get(f"http://{metrics}/metrics").text  # noqa: E731
        wait_for(busy, what="a review in flight")
        process = stack.running.pop("agent")
        process.terminate()
        wait_for(lambda: "draining" in stack.log("agent"), what="the drain")
        assert process.poll() is None
        assert not answered
        scorer.send_signal(signal.SIGCONT)
        client.join()
        assert process.wait(START_SECONDS) == 0
        assert answered[0].status_code == 200
        with closing(sqlite3.connect(tmp_path / "ledger.db")) as ledger:
            recorded = ledger.execute("SELECT entry_id FROM entries").fetchall()
        assert recorded == [(answered[0].json()["decision_id"],)]
    finally:
        stack.running["ml"].send_signal(signal.SIGCONT)
        stack.close()


def test_sigterm_under_load(models: Path, tmp_path: Path) -> None:
    """Under load the scorer drains: calls succeed or never began, at most one failure per client, exit code 0."""
    stack = Stack(tmp_path, models)
    codes: list[grpc.StatusCode] = []
    stopping = threading.Event()

    def client() -> None:
        with grpc.insecure_channel(stack.address("ml")) as channel:
            stub = ScoringServiceStub(channel)
            while True:
                try:
                    stub.Predict(scoring.PredictRequest(transaction=message()), timeout=START_SECONDS)
                    codes.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    codes.append(error.code())
                    if stopping.is_set():
                        return

    try:
        stack.start("ml", "rest_ml")
        stack.wait_until_healthy()
        clients = [threading.Thread(target=client) for _ in range(4)]
        for each in clients:
            each.start()
        wait_for(lambda: codes.count(grpc.StatusCode.OK) > 100, what="a hundred answers")
        stopping.set()
        assert stack.stop("ml") == 0
        for each in clients:
            each.join()
        # gRPC reports CANCELLED for a call that reached the socket and was never passed to the server
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        assert len(codes) - codes.count(grpc.StatusCode.OK) == len(clients)
    finally:
        stopping.set()
        stack.close()


@pytest.mark.parametrize("module", ["ml_server", "agent_server"])
def test_a_taken_port_is_named(module: str, models: Path, tmp_path: Path) -> None:
    """A server whose port is taken exits with 2 and the address."""
    stack = Stack(tmp_path, models)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stack.ports["ml"]))
        taken.listen()
        stack.ports["agent"] = stack.ports["ml"]
        done = run("-m", module, env=stack.environment())
    assert done.returncode == 2
    assert f"127.0.0.1:{stack.ports['ml']}" in done.stderr
    assert "Traceback" not in done.stderr


def test_vouch_up_names_a_taken_port() -> None:
    """If a port is taken, `vouch up` starts nothing, exits with 2 and names the port."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 50051))
            taken.listen()
        except OSError:
            pass  # then another process has taken it: as good
        done = run("-m", "vouch", "up")
    assert done.returncode == 2
    assert "port 50051 (for ml) is in use" in done.stderr


def test_wrong_settings_stop_the_start(models: Path, tmp_path: Path) -> None:
    """A bad setting is exit code 2 with the variable's name, before anything listens."""
    stack = Stack(tmp_path, models, settings={"VOUCH_AGENT_DENY_THRESHOLD": "0.9"})
    done = run("-m", "agent_server", env=stack.environment())
    assert done.returncode == 2
    assert "VOUCH_AGENT_DENY_THRESHOLD" in done.stderr


def test_thresholds_are_settable(models: Path, tmp_path: Path) -> None:
    """With other thresholds the same order gets another decision, and the policy has them."""
    settings = {"VOUCH_AGENT_DENY_THRESHOLD": "0.0001", "VOUCH_AGENT_APPROVE_THRESHOLD": "0.001"}
    stack = Stack(tmp_path, models, settings=settings)
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        answer = review(stack).json()
        assert answer["decision"] == "approve"
        assert answer["policy_version"] == "approve>=0.001,deny<=0.0001,evidence>=4"
    finally:
        stack.close()


def test_envoy_accepts_the_configuration() -> None:
    """The edge's configuration is accepted by the real binary, also with other ports."""
    done = run("envoy/run.py", "--check", "--edge", "18080")
    assert done.returncode == 0, done.stderr


def test_a_signal_while_a_line_is_printed_ends_vouch_up() -> None:
    """Honcho's signal handler prints too: if it interrupts a print, its line is lost and it continues."""
    handled: list[str] = []

    class Interrupted(io.RawIOBase):
        """A file in which a signal arrives during a write."""

        def writable(self) -> bool:
            return True

        def write(self, content: object) -> int:
            if not handled:
                handled.append("begun")
                signal.raise_signal(signal.SIGUSR1)
            return len(content)  # type: ignore[arg-type]

    printer = up._LossyPrinter(io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True))
    line = Message(type="line", data="a line\n", time=dt.datetime.now(), name="agent", colour=None)

    def handle(*_: object) -> None:
        printer.write(line)
        handled.append("ended")

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        printer.write(line)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert handled == ["begun", "ended"]
