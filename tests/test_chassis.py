"""The runtime's part of serving: settings, keys, TLS, metrics, bounds, what logs and metrics never hold."""

import asyncio
import json
import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import settings as hypothesis_settings

from bench.waiting import free_port, wait_for
from chaos.cluster import Replica, agent, running, scorer
from chaos.fuzz import filled
from generated.vouch.v1 import agent_service_pb2, case_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import Model
from ml_server.scorer import Scorer
from ml_server.service import ScoringService
from runtime import validation
from runtime.errors import InvalidRequest, Overloaded, to_status
from runtime.security import ApiKeys, SecurityError, digest, is_loopback, new_key, read_keys, require_loopback
from tests.orders import message
from tests.processes import ROOT, Stack, run

INFO = pb.GetModelInfoRequest()


def code_of(call: Any, *arguments: Any, **named: Any) -> str:
    """Name of the status that a call ends with."""
    try:
        call(*arguments, timeout=30, **named)
    except grpc.RpcError as error:
        return error.code().name  # type: ignore[attr-defined, no-any-return]
    return "OK"


# -- validation


@given(filled(Transaction.DESCRIPTOR))
@hypothesis_settings(max_examples=300, deadline=None)
def test_what_is_accepted_at_once_breaks_no_rule(order: Any) -> None:
    """The compiled conditions never accept what protovalidate refuses."""
    accepts = validation.compiled(Transaction.DESCRIPTOR)
    assert accepts is not None
    if accepts(order):
        assert not validation.validator().collect_violations(order)


def test_ordinary_messages_are_accepted_at_once(table: Any) -> None:
    """A thousand orders, whole and documented, need no second look; so do the other requests of the contract."""
    from runtime.messages import messages

    accepts = validation.compiled(Transaction.DESCRIPTOR)
    assert accepts is not None
    assert all(accepts(order) for order in messages(table.slice(0, 1000)))
    assert accepts(message())
    for request in (pb.PredictRequest, agent_service_pb2.ReviewRequest, case_service_pb2.GetCaseRequest):
        assert validation.compiled(request.DESCRIPTOR) is not None


@pytest.mark.parametrize(
    "spoiled",
    [
        {"order_amount": 0.0},
        {"account_age_days": -1},
        {"currency": "EUR\n"},
        {"card_bin": "12345"},
        {"device_type": 77},
    ],
)
def test_what_is_refused_names_its_field(spoiled: dict[str, Any]) -> None:
    """What the conditions do not accept is worded by protovalidate, with the field's path."""
    order = pb.PredictRequest(transaction=message())
    for name, value in spoiled.items():
        setattr(order.transaction, name, value)
    assert [field for field, _ in validation.violations(order)] == [f"transaction.{next(iter(spoiled))}"]


# -- keys


def test_keys_are_hashed_named_and_replaced_without_a_restart(tmp_path: Path) -> None:
    """Keys are shown once and kept as digests; adding and removing one counts for a process that runs."""
    path = tmp_path / "keys"
    made = [run("-m", "vouch", "keys", "--file", str(path), "add", name) for name in ("shop", "ops")]
    shop, ops = (done.stdout.strip() for done in made)
    assert shop != ops
    assert shop not in path.read_text()
    assert f"shop:{digest(shop)}" in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    keys = ApiKeys(path)
    assert (keys.name_of(shop), keys.name_of(ops), keys.name_of("vouch_x")) == ("shop", "ops", None)
    assert run("-m", "vouch", "keys", "--file", str(path), "remove", "shop").returncode == 0
    time.sleep(1.1)
    assert (keys.name_of(shop), keys.name_of(ops)) == (None, "ops")
    path.write_text("half a li")
    time.sleep(1.1)
    assert keys.name_of(ops) == "ops"  # a broken file locks nobody out
    again = run("-m", "vouch", "keys", "--file", str(path), "add", "x")
    assert (again.returncode, "line 1" in again.stderr) == (2, True)


@pytest.mark.parametrize("text", ["name", "a:b", f"a:{'0' * 64}\na:{'1' * 64}", "\0"])
def test_broken_key_files_are_refused(text: str, tmp_path: Path) -> None:
    """A file of keys that cannot be used names its line, and stops the start."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(SecurityError, match="line"):
        read_keys(path)


def test_only_loopback_is_open_to_anybody() -> None:
    """Beyond loopback a server needs keys or client certificates, or somebody's word."""
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
    """A server told to listen on all addresses without keys exits with 2 and says what to do."""
    stack = Stack(tmp_path, models)
    variable = {"ml_server": "VOUCH_ML_LISTEN", "agent_server": "VOUCH_AGENT_LISTEN"}[module]
    done = run("-m", module, env=stack.environment() | {variable: f"0.0.0.0:{free_port()}"})
    assert done.returncode == 2
    assert "vouch keys add" in done.stderr
    assert "--insecure" in done.stderr


def test_every_entry_asks_for_a_key(models: Path, tmp_path: Path) -> None:
    """With keys set, scorer, agent and both bridges refuse who has none, and work end to end for who has one."""
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
            assert httpx.post(url, json=body, headers={"x-api-key": key}, timeout=10).status_code == 200
            assert httpx.post(url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10).status_code == 200
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


# -- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """A certificate authority for one test."""
    return trustme.CA()


@pytest.fixture
def certified(authority: trustme.CA, models: Path, tmp_path: Path) -> Iterator[tuple[Replica, Path]]:
    """A scorer that asks its callers for a certificate, and the folder with the files."""
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
    """With a client CA, a caller needs TLS and a certificate of that CA; the agent gets through with its settings."""
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
        request = agent_service_pb2.ReviewRequest(transaction=message())
        wait_for(lambda: code_of(AgentServiceStub(channel).Review, request) == "OK", what="a review over mutual TLS")


@pytest.mark.parametrize("missing", ["VOUCH_ML_TLS_KEY", "VOUCH_ML_TLS_CERTIFICATE"])
def test_half_a_pair_stops_the_start(missing: str, models: Path, tmp_path: Path) -> None:
    """A certificate without its key, or a file that is none, is exit code 2 with a sentence."""
    (tmp_path / "x.pem").write_text("no certificate")
    both = dict.fromkeys(("VOUCH_ML_TLS_KEY", "VOUCH_ML_TLS_CERTIFICATE"), str(tmp_path / "x.pem"))
    stack = Stack(tmp_path, models, settings={name: value for name, value in both.items() if name != missing})
    done = run("-m", "ml_server", env=stack.environment())
    assert (done.returncode, "belong together" in done.stderr) == (2, True)
    done = run("-m", "ml_server", env=Stack(tmp_path, models, settings=both).environment())
    assert (done.returncode, "not in PEM format" in done.stderr) == (2, True)


# -- metrics, logs


def test_nothing_personal_in_logs_and_metrics(models: Path, tmp_path: Path) -> None:
    """A canary in every text of an order, also in one that fails, is in no log line, no metric, no error of ours."""
    canary = "CANARY7f3a"
    settings = {"VOUCH_ML_LOG_EVERY": "1", "VOUCH_AGENT_LOG_EVERY": "1"}
    ports = {"VOUCH_ML_METRICS_LISTEN": free_port(), "VOUCH_AGENT_METRICS_LISTEN": free_port()}
    stack = Stack(tmp_path, models, settings=settings | {name: f"127.0.0.1:{port}" for name, port in ports.items()})
    texts = dict.fromkeys(("transaction_id", "user_id", "email_domain", "device_id", "user_agent"), canary)
    body = texts | {"timestamp": "2025-02-11T10:00:00", "ip_address": "10.20.30.40", "order_amount": 12345.67}
    bad = [
        body | {"currency": canary},
        body | {"card_bin": canary},
        body | {canary: 1},
        body | {"order_amount": canary},
    ]
    try:
        stack.start("ml", "agent", "rest_ml", "rest_agent")
        stack.wait_until_healthy()
        for each in (body, *bad):
            httpx.post(f"{stack.url('rest_ml')}/api/v1/predict", json=each, timeout=10)
            httpx.post(f"{stack.url('rest_agent')}/api/v1/review", json=each, timeout=10)
        httpx.get(f"{stack.url('rest_agent')}/api/v1/decisions/{canary}-missing", timeout=10)
        order = message(transaction_id=canary, email_domain=canary, currency=canary)
        for name, stub, method, request in (
            ("ml", ScoringServiceStub, "Predict", pb.PredictRequest(transaction=order)),
            ("agent", AgentServiceStub, "Review", agent_service_pb2.ReviewRequest(transaction=order)),
        ):
            with grpc.insecure_channel(stack.address(name)) as channel:
                assert code_of(getattr(stub(channel), method), request) == "INVALID_ARGUMENT"
        metrics = [httpx.get(f"http://127.0.0.1:{port}/metrics").text for port in ports.values()]
        logs = [stack.log(name) for name in ("ml", "agent", "rest_ml", "rest_agent")]
    finally:
        stack.close()
    assert "request answered" in logs[0]
    assert "request failed" in logs[1]
    for text in (*metrics, *logs):
        assert canary not in text
        assert "12345.67" not in text
        assert "10.20.30.40" not in text


def test_metrics_have_the_names_that_grpc_users_know(models: Path, tmp_path: Path) -> None:
    """Requests by method and code, latency, scores, unknown fields, model and workers: on one port for two workers."""
    replica = scorer(tmp_path, models, workers=2)
    with running(replica):
        wait_for(replica.serving, what="two workers")
        service = {"grpc_service": "vouch.v1.ScoringService", "grpc_method": "Predict"}
        for number in range(8):
            options = [("grpc.use_local_subchannel_pool", 1)]
            with grpc.insecure_channel(replica.address, options) as channel:
                order = message() if number else message(order_amount=-1.0)
                code_of(ScoringServiceStub(channel).Predict, pb.PredictRequest(transaction=order))
        seen = lambda: replica.metric("vouch_scored_orders_total") == 7  # noqa: E731
        wait_for(seen, 10, "the counts of both workers")
        assert replica.metric("grpc_server_handled_total", grpc_code="OK", **service) == 7
        assert replica.metric("grpc_server_handled_total", grpc_code="InvalidArgument", **service) == 1
        assert replica.metric("grpc_server_handling_seconds_count", **service) == 8
        assert replica.metric("vouch_legitimacy_score_count") == 7
        assert replica.metric("vouch_unknown_fields_total", field="device_type") == 7
        assert replica.metric("vouch_unknown_fields_total", field="email_domain") == 0
        assert replica.metric("vouch_workers_alive") == 2
        assert replica.metric("grpc_server_in_flight_requests") == 0
        version = (models / "current").resolve().name
        assert replica.metric("vouch_model_info", model_version=version) == 2


# -- bounds, deadlines, signals


def test_a_passed_deadline_does_no_work(models: Path, tmp_path: Path) -> None:
    """A call whose deadline is over is not scored; the count of scored orders shows it."""
    replica = scorer(tmp_path, models)
    with running(replica):
        wait_for(replica.serving, what="the scorer")
        with grpc.insecure_channel(replica.address) as channel:
            stub = ScoringServiceStub(channel)
            assert code_of(stub.Predict, pb.PredictRequest(transaction=message())) == "OK"
            replica.signal(signal.SIGSTOP)  # what arrives now is read when its deadline is over
            calls = [stub.Predict.future(pb.PredictRequest(transaction=message()), timeout=0.3) for _ in range(5)]
            assert {call.exception().code().name for call in calls} == {"DEADLINE_EXCEEDED"}
            replica.signal(signal.SIGCONT)
            # Over the same connection, so when this one is answered the others were read.
            assert code_of(stub.Predict, pb.PredictRequest(transaction=message())) == "OK"
        wait_for(lambda: replica.metric("vouch_scored_orders_total") >= 2, what="the count")
        assert replica.metric("vouch_scored_orders_total") == 2


async def test_more_batches_than_are_soon_done_are_refused(model: Model) -> None:
    """Over the bound of batches: Overloaded at once, bad ones and good ones alike, while accepted ones are answered."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Scorer):
        def predict_batch(self, *arguments: Any) -> Any:
            begun.set()
            go_on.wait()
            return super().predict_batch(*arguments)

    service: Any = ScoringService(max_batches=2)
    service._scorer = Slow(model)
    good = pb.PredictBatchRequest(transactions=[message()])
    bad = pb.PredictBatchRequest(transactions=[message(order_amount=-1.0)])
    accepted = [asyncio.create_task(service.PredictBatch(each, None)) for each in (good, bad)]
    await asyncio.to_thread(begun.wait)
    for request in (good, bad, good):
        with pytest.raises(Overloaded) as caught:
            await service.PredictBatch(request, None)
        assert any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in to_status(caught.value).details)
    go_on.set()
    assert len((await accepted[0]).results) == 1
    with pytest.raises(InvalidRequest, match=r"transactions\[0\]\.order_amount"):
        await accepted[1]
    assert len((await service.PredictBatch(good, None)).results) == 1


def test_the_edge_refuses_in_our_words() -> None:
    """The status that Envoy sends for too many requests is the one that the services send."""
    text = (ROOT / "envoy" / "envoy.yaml").read_text()
    encoded = re.findall(r"grpc-status-details-bin\s+value: (\S+)", text)[0]
    import base64

    found = status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4)))
    assert found == to_status(Overloaded(found.message))


def test_a_second_sigterm_is_now(models: Path, tmp_path: Path) -> None:
    """The first SIGTERM drains for as long as calls run; a second one ends it at once, with exit code 0."""
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
        assert replica.process.wait(60) == 0  # far less than it would have waited


def test_workers_do_not_outlive_their_supervisor(models: Path, tmp_path: Path) -> None:
    """Kill -9 of the supervisor: its workers drain and end by themselves."""
    replica = scorer(tmp_path, models, workers=2)
    replica.start()
    try:
        wait_for(replica.serving, what="two workers")
        pids = replica.pids()
        assert len(pids) == 2
        replica.signal(signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 15, "the end of the workers")
    finally:
        assert replica.process is not None
        replica.process.wait(10)


def test_a_sigterm_to_the_whole_group_drains(models: Path, tmp_path: Path) -> None:
    """Service managers signal every process of a service: supervisor and workers still end in order, exit code 0."""
    replica = scorer(tmp_path, models, workers=2)
    replica.own_group = True
    replica.start()
    assert replica.process is not None
    try:
        wait_for(replica.serving, what="two workers")
        os.killpg(replica.process.pid, signal.SIGTERM)
        assert replica.process.wait(15) == 0
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


def test_rest_tells_when_to_come_again(models: Path, tmp_path: Path) -> None:
    """An agent with no room answers REST with 429 and Retry-After; the log says how many were refused."""
    metrics = f"127.0.0.1:{free_port()}"
    settings = {"VOUCH_AGENT_MAX_IN_FLIGHT": "1", "VOUCH_AGENT_METRICS_LISTEN": metrics}
    stack = Stack(tmp_path, models, settings=settings)
    import sqlite3

    body = {"transaction_id": "t", "user_id": "u", "timestamp": "2025-02-11T10:00:00"}
    url = f"{stack.url('rest_agent')}/api/v1/review"
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        with sqlite3.connect(tmp_path / "ledger.db") as held:
            held.execute("BEGIN IMMEDIATE")  # the first review waits for the ledger
            first = threading.Thread(target=lambda: httpx.post(url, json=body, timeout=10))
            first.start()
            busy = lambda: "grpc_server_in_flight_requests 1.0" in httpx.get(f"http://{metrics}/metrics").text  # noqa: E731
            wait_for(busy, what="a review in flight")
            refused = httpx.post(url, json=body, timeout=10)
            held.rollback()
        held.close()
        first.join()
        assert (refused.status_code, refused.headers.get("Retry-After")) == (429, "1")
        assert httpx.post(url, json=body, timeout=10).status_code == 200
        assert '"refused": 1' in stack.log("agent")
    finally:
        stack.close()


def test_request_ids_lead_through_all_logs(models: Path, tmp_path: Path) -> None:
    """The id that a caller sends stands in the answer's headers and in the log of each service on the way."""
    stack = Stack(tmp_path, models, settings={"VOUCH_ML_LOG_EVERY": "1", "VOUCH_AGENT_LOG_EVERY": "1"})
    body = {"transaction_id": "t", "user_id": "u", "timestamp": "2025-02-11T10:00:00"}
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        url = f"{stack.url('rest_agent')}/api/v1/review"
        answer = httpx.post(url, json=body, headers={"x-request-id": "trace-42"}, timeout=10)
        assert answer.headers["x-request-id"] == "trace-42"
        assert len(httpx.post(url, json=body, timeout=10).headers["x-request-id"]) == 32
        strange = httpx.post(url, json=body, headers=[(b"x-request-id", b"\xff")], timeout=10)
        assert len(strange.headers["x-request-id"]) == 32
        lines = [json.loads(line) for name in ("ml", "agent") for line in stack.log(name).splitlines()]
    finally:
        stack.close()
    methods = {line["method"] for line in lines if line.get("request_id") == "trace-42"}
    assert methods == {"/vouch.v1.ScoringService/Predict", "/vouch.v1.AgentService/Review"}
