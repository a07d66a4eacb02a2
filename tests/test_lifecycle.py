"""Starting, failing and stopping: any order, a scorer that goes away, signals, taken ports."""

import signal
import socket
import sqlite3
import subprocess
import threading
from pathlib import Path

import grpc
import httpx
import pytest

from bench.waiting import free_port, wait_for
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from tests.orders import DOCUMENTED, message
from tests.processes import PYTHON, ROOT, Stack, answers, run


def review(stack: Stack) -> httpx.Response:
    """Post the documented order to the agent."""
    return httpx.post(stack.url("rest_agent") + "/api/v1/review", json=DOCUMENTED, timeout=10)


def test_start_in_any_order_and_recover(models: Path, tmp_path: Path) -> None:
    """Bridge first, then agent, then scorer: 503 with a clear health until it is there, recovery without a restart."""
    stack = Stack(tmp_path, models)
    try:
        stack.start("rest_agent", "rest_ml")
        wait_for(stack.agent_is("degraded"), what="bridge alone")
        assert review(stack).status_code == 503
        wait_for(answers(stack.url("rest_ml") + "/api/v1/health", 503), what="bridge of the scorer")
        assert httpx.get(stack.url("rest_ml") + "/api/v1/health").json()["status"] == "unhealthy"
        stack.start("agent")
        wait_for(lambda: "scorer" in review(stack).text, what="agent without scorer")
        answer = review(stack)
        assert (answer.status_code, "away" in answer.json()["detail"]) == (503, True)
        stack.start("ml")
        wait_for(stack.agent_is("healthy"), what="all up")
        assert review(stack).status_code == 200
        assert stack.stop("ml") == 0
        wait_for(stack.agent_is("degraded"), what="scorer gone")
        assert review(stack).status_code == 503
        stack.start("ml")
        wait_for(stack.agent_is("healthy"), what="scorer back")
        assert review(stack).status_code == 200
    finally:
        stack.close()


def test_without_a_model_the_scorer_waits_for_one(models: Path, tmp_path: Path) -> None:
    """A scorer without a model says unhealthy and what to run, and serves as soon as there is one."""
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
    """A review that waits for the ledger when SIGTERM comes is still kept and answered; then the agent exits with 0."""
    metrics = f"127.0.0.1:{free_port()}"
    stack = Stack(tmp_path, models, settings={"VOUCH_AGENT_METRICS_LISTEN": metrics})
    answered: list[httpx.Response] = []
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        with sqlite3.connect(tmp_path / "ledger.db") as held:
            held.execute("BEGIN IMMEDIATE")  # nobody else can write now
            client = threading.Thread(target=lambda: answered.append(review(stack)))
            client.start()
            busy = lambda: "grpc_server_in_flight_requests 1.0" in httpx.get(f"http://{metrics}/metrics").text  # noqa: E731
            wait_for(busy, what="a review in flight")
            process = stack.running.pop("agent")
            process.terminate()
            wait_for(lambda: "draining" in stack.log("agent"), what="the drain")
            assert process.poll() is None
            assert not answered
            held.rollback()
        held.close()
        client.join(10)
        assert process.wait(10) == 0
        assert answered[0].status_code == 200
        with sqlite3.connect(tmp_path / "ledger.db") as ledger:
            kept = ledger.execute("SELECT decision_id FROM decisions").fetchall()
        ledger.close()
        assert kept == [(answered[0].json()["decision_id"],)]
    finally:
        stack.close()


def test_sigterm_under_load(models: Path, tmp_path: Path) -> None:
    """Under load the scorer drains: calls end well or were never begun, at most one failure a client, exit code 0."""
    stack = Stack(tmp_path, models)
    codes: list[grpc.StatusCode] = []
    stopping = threading.Event()

    def client() -> None:
        with grpc.insecure_channel(stack.address("ml")) as channel:
            stub = ScoringServiceStub(channel)
            while True:
                try:
                    stub.Predict(scoring.PredictRequest(transaction=message()), timeout=5)
                    codes.append(grpc.StatusCode.OK)
                except grpc.RpcError as error:
                    codes.append(error.code())  # type: ignore[attr-defined]
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
            each.join(10)
        # CANCELLED is what gRPC tells of a call that reached the socket and was never handed to the server.
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
    """`vouch up` with a port taken starts nothing, exits with 2 and names the port."""
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 50051))
            taken.listen()
        except OSError:
            pass  # then somebody else has taken it: as good
        done = run("-m", "vouch", "up")
    assert done.returncode == 2
    assert "port 50051 (for ml) is taken" in done.stderr


def test_wrong_settings_stop_the_start(models: Path, tmp_path: Path) -> None:
    """A bad setting is exit code 2 with the variable's name, before anything listens."""
    stack = Stack(tmp_path, models, settings={"VOUCH_AGENT_DENY_THRESHOLD": "0.9"})
    done = run("-m", "agent_server", env=stack.environment())
    assert done.returncode == 2
    assert "VOUCH_AGENT_DENY_THRESHOLD" in done.stderr


def test_thresholds_are_settable(models: Path, tmp_path: Path) -> None:
    """With other thresholds the same order gets another decision, and the policy says so."""
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


def test_a_broken_envoy_is_not_ours() -> None:
    """The edge's configuration is accepted by the real binary, also with other ports."""
    done = run("envoy/run.py", "--check", "--edge", "18080")
    assert done.returncode == 0, done.stderr


def test_the_load_test_counts_by_class(stack: Stack, dataset: Path) -> None:
    """The documented load test streams both classes, prints decisions, precision, recall and percentiles, exit 0."""
    arguments = ["--api-url", stack.url("rest_agent"), "--dataset", str(dataset)]
    done = run("test_api.py", *arguments, "--rate", "40", "--duration", "4")
    assert done.returncode == 0, done.stderr
    for words in ("legitimate", "abuse", "deny: precision", "recall", "sent to review", "p99", "failed 0"):
        assert words in done.stdout
    assert "sent 160 in" in done.stdout


def test_ctrl_c_still_prints_the_summary(stack: Stack, dataset: Path) -> None:
    """Interrupted, the load test shows one line a request and the summary, exit 0."""
    command = [PYTHON, "test_api.py", "--api-url", stack.url("rest_agent"), "--dataset", str(dataset), "--rate", "5"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(15) == 0
    assert all("->" in line for line in lines)
    assert "deny: precision" in rest


def test_load_tests_take_files_without_the_newer_columns(stack: Stack, dataset: Path, tmp_path: Path) -> None:
    """A file with the documented columns only works, and no label is ever sent."""
    from load_test.orders import read_orders
    from runtime.contract import LABELS

    newer = [
        "accounts_on_device_30d",
        "accounts_on_ip_24h",
        "three_ds_result",
        "payment_attempts_24h",
        "cards_used_30d",
    ]
    import pyarrow.csv as pa_csv

    from runtime.tables import read_table

    path = tmp_path / "older.csv"
    pa_csv.write_csv(read_table(dataset).slice(0, 400).drop_columns([*newer, "promo_code_used"]), path)
    assert not any(label in order.body for order in read_orders(path) for label in LABELS)
    arguments = ["--api-url", stack.url("rest_agent"), "--dataset", str(path)]
    done = run("test_api.py", *arguments, "--rate", "30", "--duration", "1")
    assert (done.returncode, "failed 0" in done.stdout) == (0, True), done.stdout
    zone = run("test_review_transactions.py", *arguments, "--count", "1")
    assert zone.returncode == 0, zone.stdout
    for words in ("decision   review by review_required", "reasoning", "evidence", "recommends"):
        assert words in zone.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rate", "0"], "--rate must be above 0"),
        (["--fraud-ratio", "1.5"], "--fraud-ratio must lie in 0..1"),
        (["--concurrency", "0"], "--concurrency"),
        (["--dataset", "nowhere.csv"], "nowhere.csv: there is no such file"),
        (["--api-url", "localhost"], "--api-url must start with"),
    ],
)
def test_load_test_options_are_checked(arguments: list[str], words: str) -> None:
    """A bad option is exit code 2 and a sentence that names it."""
    done = run("test_api.py", *arguments)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_absent_service_is_told() -> None:
    """Nothing listening: the load test says so for each request and exits with 1."""
    done = run("test_api.py", "--api-url", "http://127.0.0.1:9", "--rate", "10", "--duration", "0.5")
    assert done.returncode == 1
    assert "ConnectError" in done.stdout
