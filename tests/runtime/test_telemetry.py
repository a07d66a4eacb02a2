"""Logs and metrics: their content, and what they never contain."""

import json
from pathlib import Path

import grpc
import httpx

from generated.vouch.v1 import agent_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from testing.inputs.orders import message
from testing.requests import code_of
from testing.servers.processes import Stack
from testing.servers.replicas import running, scorer
from testing.waiting import START_SECONDS, free_port, wait_for

# -- metrics, logs


def test_nothing_personal_in_logs_and_metrics(models: Path, tmp_path: Path) -> None:
    """A canary in every text of an order, also of a failing one, is in no log line, no metric, and no error of ours."""
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
            httpx.post(f"{stack.url('rest_ml')}/api/v1/predict", json=each, timeout=START_SECONDS)
            httpx.post(f"{stack.url('rest_agent')}/api/v1/review", json=each, timeout=START_SECONDS)
        httpx.get(f"{stack.url('rest_agent')}/api/v1/decisions/{canary}-missing", timeout=START_SECONDS)
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


def test_request_ids_lead_through_all_logs(models: Path, tmp_path: Path) -> None:
    """The caller's request id is in the answer's headers and in the log of each service involved."""
    stack = Stack(tmp_path, models, settings={"VOUCH_ML_LOG_EVERY": "1", "VOUCH_AGENT_LOG_EVERY": "1"})
    body = {"transaction_id": "t", "user_id": "u", "timestamp": "2025-02-11T10:00:00"}
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        url = f"{stack.url('rest_agent')}/api/v1/review"
        answer = httpx.post(url, json=body, headers={"x-request-id": "trace-42"}, timeout=START_SECONDS)
        assert answer.headers["x-request-id"] == "trace-42"
        assert len(httpx.post(url, json=body, timeout=START_SECONDS).headers["x-request-id"]) == 32
        strange = httpx.post(url, json=body, headers=[(b"x-request-id", b"\xff")], timeout=START_SECONDS)
        assert len(strange.headers["x-request-id"]) == 32
        lines = [json.loads(line) for name in ("ml", "agent") for line in stack.log(name).splitlines()]
    finally:
        stack.close()
    methods = {line["method"] for line in lines if line.get("request_id") == "trace-42"}
    assert methods == {"/vouch.v1.ScoringService/Predict", "/vouch.v1.AgentService/Review"}
