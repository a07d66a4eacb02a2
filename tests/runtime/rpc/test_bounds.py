"""Deadlines, and limits that keep one caller from taking everybody's capacity."""

import asyncio
import signal
import threading
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from ml_server.registry.bundle import Bundle
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.errors import InvalidRequest, Overloaded, to_status
from testing.inputs.orders import message
from testing.requests import code_of
from testing.servers.processes import Stack
from testing.servers.replicas import running, scorer
from testing.waiting import START_SECONDS, free_port, wait_for

# -- limits, deadlines, signals


def test_a_passed_deadline_does_no_work(models: Path, tmp_path: Path) -> None:
    """A call whose deadline has passed is not scored; the count of scored orders shows it."""
    replica = scorer(tmp_path, models)
    with running(replica):
        wait_for(replica.serving, what="the scorer")
        with grpc.insecure_channel(replica.address) as channel:
            stub = ScoringServiceStub(channel)
            assert code_of(stub.Predict, pb.PredictRequest(transaction=message())) == "OK"
            replica.signal(signal.SIGSTOP)  # calls that arrive now are read after their deadline
            calls = [stub.Predict.future(pb.PredictRequest(transaction=message()), timeout=0.3) for _ in range(5)]
            assert {call.exception().code().name for call in calls} == {"DEADLINE_EXCEEDED"}
            replica.signal(signal.SIGCONT)
            # Over the same connection, so when this one is answered the others were read.
            assert code_of(stub.Predict, pb.PredictRequest(transaction=message())) == "OK"
        wait_for(lambda: replica.metric("vouch_scored_orders_total") >= 2, what="the count")
        assert replica.metric("vouch_scored_orders_total") == 2


async def test_batches_above_the_limit_are_refused(model: Bundle) -> None:
    """Above the limit of batches, good and bad ones get Overloaded at once, while accepted ones are answered."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(Scorer):
        def predict_batch(self, *arguments: Any) -> Any:
            begun.set()
            go_on.wait()
            return super().predict_batch(*arguments)

    service: Any = ScoringService(max_batches=2)
    service._scorer = Slow(model)
    valid_files = pb.PredictBatchRequest(transactions=[message()])
    bad = pb.PredictBatchRequest(transactions=[message(order_amount=-1.0)])
    accepted = [asyncio.create_task(service.PredictBatch(each, None)) for each in (valid_files, bad)]
    await asyncio.to_thread(begun.wait)
    for request in (valid_files, bad, valid_files):
        with pytest.raises(Overloaded) as caught:
            await service.PredictBatch(request, None)
        assert any(each.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for each in to_status(caught.value).details)
    go_on.set()
    assert len((await accepted[0]).results) == 1
    with pytest.raises(InvalidRequest, match=r"transactions\[0\]\.order_amount"):
        await accepted[1]
    assert len((await service.PredictBatch(valid_files, None)).results) == 1


def test_rest_sends_a_retry_delay(models: Path, tmp_path: Path) -> None:
    """REST answers for an agent at its limit with 429 and Retry-After; the log has the number of refusals."""
    metrics = f"127.0.0.1:{free_port()}"
    settings = {
        "VOUCH_AGENT_SCORER_TIMEOUT_SECONDS": "60",
        "VOUCH_AGENT_MAX_IN_FLIGHT": "1",
        "VOUCH_AGENT_METRICS_LISTEN": metrics,
    }
    stack = Stack(tmp_path, models, settings=settings)
    body = {"transaction_id": "t", "user_id": "u", "timestamp": "2025-02-11T10:00:00"}
    url = f"{stack.url('rest_agent')}/api/v1/review"
    try:
        stack.start("ml", "agent", "rest_agent")
        stack.wait_until_healthy()
        stack.running["ml"].send_signal(signal.SIGSTOP)  # the first review waits for its score
        first = threading.Thread(target=lambda: httpx.post(url, json=body, timeout=START_SECONDS))
        first.start()
        busy = lambda: "grpc_server_in_flight_requests 1.0" in httpx.get(f"http://{metrics}/metrics").text  # noqa: E731
        wait_for(busy, what="a review in flight")
        refused = httpx.post(url, json=body, timeout=START_SECONDS)
        stack.running["ml"].send_signal(signal.SIGCONT)
        first.join()
        assert (refused.status_code, refused.headers.get("Retry-After")) == (429, "1")
        assert httpx.post(url, json=body, timeout=START_SECONDS).status_code == 200
        assert '"refused": 1' in stack.log("agent")
    finally:
        stack.close()
