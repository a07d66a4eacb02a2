"""Requests on gRPC paths that are no call of the contract: the edge answers, and no service waits for the rest."""

import base64
import re
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import status_pb2

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from runtime.errors import InvalidRequest, to_status
from testing.inputs.orders import message
from testing.servers.processes import ROOT, Stack

pytestmark = pytest.mark.envoy

PREDICT = "/vouch.v1.ScoringService/Predict"
MALFORMED = to_status(InvalidRequest([("body", "is not exactly one length-prefixed gRPC message")]))
MESSAGE = pb.PredictRequest(transaction=message()).SerializeToString()


def frame_message(content: bytes, length: int | None = None, flag: int = 0) -> bytes:
    """Return a message as gRPC frames it, or with a wrong length or flag."""
    return bytes([flag]) + (len(content) if length is None else length).to_bytes(4, "big") + content


def test_the_edge_says_what_the_services_say() -> None:
    """The details in frames.lua equal those of InvalidRequest."""
    (encoded,) = re.findall(r'local DETAILS = "(\S+)"', (ROOT / "envoy" / "frames.lua").read_text())
    assert status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4))) == MALFORMED


@pytest.mark.parametrize(
    ("method", "kind", "status"),
    [
        ("POST", "application/json", 415), ("POST", "application/json; charset=utf-8", 415), ("POST", "", 415),
        ("POST", "application/grpcx", 415), ("POST", "text/plain", 415), ("POST", "application/x-ndjson", 415),
        ("GET", "", 405), ("GET", "application/grpc", 405), ("PUT", "application/grpc", 405), ("HEAD", "", 405),
        ("DELETE", "application/json", 405),
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [PREDICT, "/vouch.v1.CaseService/WatchCases", "/grpc.health.v1.Health/Check"])
def test_only_grpc_is_taken_on_its_paths(standalone_edge: str, path: str, method: str, kind: str, status: int) -> None:
    """JSON and other methods get 415 and 405 with a reason, without a service."""
    headers = {"content-type": kind} if kind else {}
    answer = httpx.request(method, standalone_edge + path, content=b"{}" if method != "HEAD" else None, headers=headers)
    if kind == "application/grpc":  # its clients read this status only
        assert answer.headers["grpc-status"] not in ("0", "14")
        return
    assert answer.status_code == status
    if method != "HEAD":
        assert answer.json()["details"][0]["reason"] in ("INVALID_REQUEST", "NOT_IMPLEMENTED")
    if status == 405:
        assert answer.headers["allow"] == "POST"


BROKEN = {
    "nothing": b"",
    "half a length": b"\0\0\0",
    "less than it says": frame_message(MESSAGE, len(MESSAGE) + 1),
    "more than it says": frame_message(MESSAGE, len(MESSAGE) - 1),
    "far more than it says": frame_message(MESSAGE, 1 << 31),
    "two messages": frame_message(MESSAGE) * 2,
    "a flag that is none": frame_message(MESSAGE, flag=7),
    "a trailer": frame_message(b"grpc-status:0", flag=128),
    "JSON": b'{"transaction":{}}',
}


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web+proto", "application/grpc"])
@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_invalid_messages_are_refused_at_once(standalone_edge: str, kind: str, body: bytes) -> None:
    """Bytes that are no message get INVALID_ARGUMENT with the contract's details, in a trailers-only answer."""
    answer = httpx.post(standalone_edge + PREDICT, content=body, headers={"content-type": kind, "te": "trailers"})
    assert (answer.status_code, answer.headers["grpc-status"]) == (200, "3")
    assert answer.headers["content-type"].startswith(kind.partition("+")[0])
    encoded = answer.headers["grpc-status-details-bin"]
    assert status_pb2.Status.FromString(base64.b64decode(encoded + "=" * (-len(encoded) % 4))) == MALFORMED


def test_grpc_web_text_is_held_to_the_same(standalone_edge: str) -> None:
    """Base64 of half a message, and text that is not base64, are refused too."""
    headers = {"content-type": "application/grpc-web-text"}
    half = httpx.post(standalone_edge + PREDICT, content=base64.b64encode(frame_message(MESSAGE)[:-3]), headers=headers)
    assert half.headers["grpc-status"] == "3"
    none = httpx.post(standalone_edge + PREDICT, content=b"?" * 40, headers=headers)
    assert none.status_code == 400 or none.headers["grpc-status"] in ("3", "13")


def test_valid_messages_pass(stack: Stack) -> None:
    """Empty messages, and batches larger than the edge's buffer of a connection, pass."""
    with grpc.insecure_channel(stack.address("edge")) as channel:
        stub: Any = ScoringServiceStub(channel)
        assert stub.GetModelInfo(pb.GetModelInfoRequest(), timeout=60).n_features > 40
        extra = {f"name_{number}": "x" * 100 for number in range(60)}
        orders = [message() for _ in range(300)]
        for order in orders:
            order.extra_texts.update(extra)
        request = pb.PredictBatchRequest(transactions=orders, error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM)
        assert 1_500_000 < request.ByteSize() < 4_000_000
        assert len(stub.PredictBatch(request, timeout=60).results) == 300
