"""The edge: the same answers as from the services behind it."""

import json
import re
from pathlib import Path

import grpc
import httpx
from google.protobuf import json_format
from grpc_health.v1 import health_pb2, health_pb2_grpc

from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from load_test.compare_transports import compare
from load_test.orders import read_orders
from testing.inputs.orders import DOCUMENTED, message
from testing.requests import BOTH, post
from testing.servers.processes import Stack


def test_bridge_edge_and_grpc_agree(stack: Stack) -> None:
    """The same order gets the same score through gRPC, the bridge, Envoy's JSON, Envoy's gRPC and Envoy's REST."""
    edge = stack.address("edge")
    scores = [post(stack, BOTH[0], DOCUMENTED).json()["legitimacy_score"]]
    scores.append(httpx.post(f"http://{edge}/api/v1/predict", json=DOCUMENTED).json()["legitimacy_score"])
    body = json_format.MessageToDict(message(), preserving_proto_field_name=True)
    scores.append(httpx.post(f"http://{edge}/v1/transactions:predict", json=body).json()["legitimacy_score"])
    for address in (stack.address("ml"), edge):
        with grpc.insecure_channel(address) as channel:
            request = scoring.PredictRequest(transaction=message())
            scores.append(ScoringServiceStub(channel).Predict(request, timeout=5).legitimacy_score)
    assert max(scores) - min(scores) < 1e-12


def test_many_orders_agree_through_the_edge(stack: Stack, few: Path) -> None:
    """Thirty real rows, with every enum and time, get the same score as gRPC and as canonical JSON."""
    number, largest = compare(read_orders(few)[:30], stack.address("edge"))
    assert number == 30
    assert largest < 1e-12


def test_the_edge_speaks_every_language(stack: Stack) -> None:
    """Envoy serves review and info as JSON, REST's paths, gRPC-Web, health and reflection over gRPC."""
    url = stack.url("edge")
    body = json_format.MessageToDict(message(), preserving_proto_field_name=True)
    review = httpx.post(f"{url}/v1/transactions:review", json=body).json()
    assert review["decision"] in ("DECISION_APPROVE", "DECISION_DENY", "DECISION_REVIEW")
    assert httpx.get(f"{url}/v1/model").json()["n_features"] > 40
    assert httpx.get(f"{url}/v1/agent").json()["auto_approve_threshold"] == 0.7
    assert httpx.get(f"{url}/v1/cases?page_size=1").status_code == 200
    assert httpx.get(f"{url}/api/v1/health").json()["status"] == "healthy"
    assert httpx.get(f"{url}/api/v1/model/info").json()["n_features"] > 40
    payload = scoring.GetModelInfoRequest().SerializeToString()
    frame = b"\0" + len(payload).to_bytes(4, "big") + payload
    headers = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    web = httpx.post(f"{url}/vouch.v1.ScoringService/GetModelInfo", content=frame, headers=headers)
    size = int.from_bytes(web.content[1:5], "big")
    assert scoring.GetModelInfoResponse.FromString(web.content[5 : 5 + size]).n_features > 40
    with grpc.insecure_channel(stack.address("edge")) as channel:
        health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        assert health.status == health_pb2.HealthCheckResponse.SERVING


def test_the_edge_shows_error_details(stack: Stack) -> None:
    """A bad order through Envoy's JSON is 400 with the reason and the field in its body."""
    body = json_format.MessageToDict(message(order_amount=-1.0), preserving_proto_field_name=True)
    answer = httpx.post(stack.url("edge") + "/v1/transactions:predict", json=body)
    assert answer.status_code == 400
    details = answer.json()["details"]
    assert "INVALID_REQUEST" in [each.get("reason") for each in details]
    assert "transaction.order_amount" in json.dumps(details)


def test_the_root_of_each_port_leads_somewhere(stack: Stack) -> None:
    """A browser that opens 8000, 8001 or 8080 finds /docs, or a page whose links work; other methods get 405."""
    for service in ("rest_ml", "rest_agent"):
        answer = httpx.get(f"{stack.url(service)}/", follow_redirects=True)
        assert answer.status_code == 200 and answer.url.path == "/docs"
    edge = stack.url("edge")
    page = httpx.get(f"{edge}/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    links = set(re.findall(r'href="(.+?)"', page.text))
    assert links == {"/console/", "/api/v1/health", "/v1/agent"}
    for link in links - {"/console/"}:  # the console does not run in this stack
        assert httpx.get(edge + link).status_code == 200
    refused = httpx.post(f"{edge}/", json={})
    assert refused.status_code == 405 and refused.headers["allow"] == "GET, HEAD"
    assert httpx.head(f"{edge}/").status_code == 200
    assert httpx.get(f"{edge}/", headers={"host": "evil.example"}).status_code == 421
