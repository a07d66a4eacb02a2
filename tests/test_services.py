"""The running services: every endpoint, every error, gRPC, REST and the edge."""

import json
import re
import shutil
import subprocess
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from load_test.edge import compare
from load_test.orders import read_orders
from runtime.messages import messages
from tests.orders import ALL_DOCUMENTED, DOCUMENTED, message
from tests.processes import Stack

BOTH = [("rest_ml", "/api/v1/predict"), ("rest_agent", "/api/v1/review")]


def post(stack: Stack, where: tuple[str, str], body: Any, **options: Any) -> httpx.Response:
    """Post a body, JSON unless it is bytes."""
    sent = {"content": body} if isinstance(body, bytes) else {"content": json.dumps(body)}
    headers = {"content-type": "application/json"} | options.pop("headers", {})
    return httpx.post(stack.url(where[0]) + where[1], headers=headers, timeout=10, **sent, **options)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_documented_curl_works(stack: Stack) -> None:
    """The documented curl command gives 200 on both services, with the documented fields."""
    answered = {
        "/api/v1/predict": "transaction_id legitimacy_score prediction confidence model_version abuse_type_scores reasons",
        "/api/v1/review": "transaction_id decision legitimacy_score decision_maker reasoning ml_prediction agent_analysis "
        "reasons case_id policy_version",
    }
    for service, path in BOTH:
        command = ["curl", "-sS", "--fail", "-X", "POST", stack.url(service) + path]
        command += ["-H", "Content-Type: application/json", "-d", json.dumps(DOCUMENTED)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
        found = json.loads(done.stdout)
        assert set(answered[path].split()) <= found.keys()
        assert found["transaction_id"] == "test-001"
        assert 0 <= found["legitimacy_score"] <= 1


@pytest.mark.parametrize("where", BOTH)
def test_all_documented_fields_are_taken(stack: Stack, where: tuple[str, str]) -> None:
    """A body with all 38 documented fields works as it stands."""
    assert post(stack, where, ALL_DOCUMENTED).status_code == 200


def test_health_and_info(stack: Stack) -> None:
    """The documented GET endpoints answer with the documented fields."""
    ml, agent_url = stack.url("rest_ml") + "/api/v1", stack.url("rest_agent") + "/api/v1"
    health = httpx.get(f"{ml}/health").json()
    assert (health["status"], health["model_loaded"], "timestamp" in health) == ("healthy", True, True)
    model = httpx.get(f"{ml}/model/info").json()
    fields = "model_version training_date n_features feature_names model_classes metrics dataset"
    assert set(fields.split()) <= model.keys()
    assert model["n_features"] == len(model["feature_names"]) > 40
    assert model["metrics"]["roc_auc"] > 0.9
    health = httpx.get(f"{agent_url}/health").json()
    assert (health["status"], health["ml_service_available"]) == ("healthy", True)
    assert health["agent_service_version"]
    info = httpx.get(f"{agent_url}/agent/info").json()
    assert (info["auto_approve_threshold"], info["auto_deny_threshold"]) == (0.7, 0.4)
    assert {"service_name", "version", "agent_status", "policy_version"} <= info.keys()


def test_docs_describe_every_field(stack: Stack) -> None:
    """Both /docs load nothing from elsewhere; OpenAPI describes every field of Transaction and shows the example."""
    for service, path in BOTH:
        page = httpx.get(stack.url(service) + "/docs")
        assert page.status_code == 200
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links
        assert all(httpx.get(stack.url(service) + link).status_code == 200 for link in links), links
        document = httpx.get(stack.url(service) + "/openapi.json").json()
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        properties = content["schema"]["properties"]
        assert len(properties) == 44
        assert all(entry["description"] for entry in properties.values())
        assert content["example"] == DOCUMENTED
        assert "legitimacy_score" in json.dumps(document["paths"][path]["post"]["responses"]["200"])


BAD_FIELDS = [
    ({"account_age_days": "five"}, "account_age_days"),
    ({"account_age_days": 5.5}, "account_age_days"),
    ({"account_age_days": True}, "account_age_days"),
    ({"account_age_days": -1}, "account_age_days"),
    ({"account_age_days": 10**30}, "account_age_days"),
    ({"order_amount": "much"}, "order_amount"),
    ({"order_amount": float("nan")}, "order_amount"),
    ({"order_amount": float("inf")}, "order_amount"),
    ({"order_amount": 0}, "order_amount"),
    ({"phone_verified": "no"}, "phone_verified"),
    ({"phone_verified": 0}, "phone_verified"),
    ({"device_type": "fridge"}, "device_type"),
    ({"device_type": "DEVICE_TYPE_MOBILE"}, "device_type"),
    ({"device_type": 2}, "device_type"),
    ({"transaction_id": ""}, "transaction_id"),
    ({"transaction_id": None}, "transaction_id"),
    ({"user_id": 7}, "user_id"),
    ({"timestamp": "yesterday"}, "timestamp"),
    ({"timestamp": 1739268000}, "timestamp"),
    ({"timestamp": "1900-01-01T00:00:00"}, "timestamp"),
    ({"ip_country": "usa"}, "ip_country"),
    ({"ip_address": "no address"}, "ip_address"),
    ({"favourite_colour": "blue"}, "favourite_colour"),
    ({"is_abuse": True}, "is_abuse"),
]


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize(("changed", "field"), BAD_FIELDS)
def test_bad_fields_are_named(stack: Stack, where: tuple[str, str], changed: dict[str, Any], field: str) -> None:
    """A field of wrong type, name, range or spelling is 422 with FastAPI's detail list, which names it."""
    answer = post(stack, where, DOCUMENTED | changed)
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert [entry["loc"][:2] for entry in detail] == [["body", field]]
    assert all({"loc", "msg", "type"} <= entry.keys() for entry in detail)


@pytest.mark.parametrize("where", BOTH)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"hello", 422),
        (b"[]", 422),
        (b"null", 422),
        (b"{", 422),
        (b"[" * 100_000, 422),
        (b'{"transaction_id": "\\ud800"}', 422),
        (b"\xff\xfe", 422),
        (b'{"user_id": "' + b"x" * 10_000_000 + b'"}', 413),
    ],
)
def test_bad_bodies_are_client_errors(stack: Stack, where: tuple[str, str], body: bytes, status: int) -> None:
    """What is no JSON object, or far too large, is a 4xx with a detail."""
    answer = post(stack, where, body)
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize("where", BOTH)
def test_wrong_method_path_and_type(stack: Stack, where: tuple[str, str]) -> None:
    """Wrong method, unknown path and wrong content type are 405, 404 and 415."""
    url = stack.url(where[0])
    assert httpx.get(url + where[1]).status_code == 405
    assert httpx.post(url + "/api/v1/nothing").status_code == 404
    assert post(stack, where, DOCUMENTED, headers={"content-type": "text/xml"}).status_code == 415


def test_null_means_unknown(stack: Stack) -> None:
    """A field that is null scores like a field that is left out."""
    without = {key: value for key, value in DOCUMENTED.items() if key != "email_domain"}
    scores = [
        post(stack, BOTH[0], body).json()["legitimacy_score"]
        for body in (without, DOCUMENTED | {"email_domain": None}, DOCUMENTED)
    ]
    assert scores[0] == scores[1] != scores[2]


def test_times_are_read_alike(stack: Stack) -> None:
    """A naive time is UTC; the same moment written otherwise gives the same score."""
    written = ("2025-02-11T10:00:00", "2025-02-11 10:00:00", "2025-02-11T10:00:00Z", "2025-02-11T12:00:00+02:00")
    scores = {post(stack, BOTH[0], DOCUMENTED | {"timestamp": time}).json()["legitimacy_score"] for time in written}
    assert len(scores) == 1


def test_reasons_are_optional(stack: Stack) -> None:
    """`explain=false` leaves the reasons out and the score as it is."""
    with_reasons = post(stack, BOTH[0], DOCUMENTED).json()
    without = post(stack, BOTH[0], DOCUMENTED, params={"explain": "false"}).json()
    assert with_reasons["reasons"]
    assert not without["reasons"]
    assert with_reasons["legitimacy_score"] == without["legitimacy_score"]


@pytest.fixture(scope="module")
def in_review(stack: Stack, dataset: Any) -> dict[str, Any]:
    """The answer for an order between the thresholds."""
    for order in read_orders(dataset)[:400]:
        answer: dict[str, Any] = post(stack, BOTH[1], order.body).json()
        if 0.4 < answer["legitimacy_score"] < 0.7:
            return answer
    raise AssertionError("no order lies between the thresholds")


def test_the_review_zone_opens_a_case(stack: Stack, in_review: dict[str, Any]) -> None:
    """Between the thresholds: review, evidence in five groups, and a case that can be read with order and decision."""
    assert (in_review["decision"], in_review["decision_maker"]) == ("review", "review_required")
    groups = {each["group"] for each in in_review["agent_analysis"]["evidence"]}
    assert groups == {"account", "authentication", "payment", "behaviour", "network"}
    url = stack.url("rest_agent") + "/api/v1"
    case = httpx.get(f"{url}/cases/{in_review['case_id']}").json()
    assert case["case"]["status"] == "open"
    assert case["transaction"]["transaction_id"] == in_review["transaction_id"]
    assert case["review"]["decision_id"] == in_review["decision_id"]
    listed = httpx.get(f"{url}/cases", params={"status": "open", "page_size": 1}).json()
    assert len(listed["cases"]) == 1
    kept = httpx.get(f"{url}/decisions/{in_review['transaction_id']}").json()
    assert kept["review"]["transaction_id"] == in_review["transaction_id"]


def test_what_is_not_there_is_404(stack: Stack) -> None:
    """Unknown cases and decisions are 404; a bad page token is 422."""
    url = stack.url("rest_agent") + "/api/v1"
    assert httpx.get(f"{url}/cases/none").status_code == 404
    assert httpx.get(f"{url}/decisions/none").status_code == 404
    assert httpx.get(f"{url}/cases", params={"page_token": "x"}).status_code == 422
    assert httpx.get(f"{url}/cases", params={"status": "lost"}).status_code == 422


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


def test_many_orders_agree_through_the_edge(stack: Stack, dataset: Any) -> None:
    """Thirty real rows, every enum and time in them, score alike as gRPC and as canonical JSON."""
    number, worst = compare(read_orders(dataset)[:30], stack.address("edge"))
    assert number == 30
    assert worst < 1e-12


def test_the_edge_speaks_every_language(stack: Stack) -> None:
    """Envoy: review and info as JSON, REST's paths, gRPC-Web, health and reflection over gRPC."""
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


def test_reflection_lists_the_services(stack: Stack) -> None:
    """Both servers tell their services by reflection and health by service name."""
    wanted = {"ml": "vouch.v1.ScoringService", "agent": "vouch.v1.AgentService"}
    for name, service in wanted.items():
        with grpc.insecure_channel(stack.address(name)) as channel:
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            answer = next(stub.ServerReflectionInfo(iter([request]), timeout=5))
            assert service in [each.name for each in answer.list_services_response.service]
            check = health_pb2_grpc.HealthStub(channel).Check
            assert check(health_pb2.HealthCheckRequest(service=service), timeout=5).status == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"order_amount": float("nan")}, "transaction.order_amount"),
        ({"cards_used_30d": -1}, "transaction.cards_used_30d"),
        ({"device_type": 42}, "transaction.device_type"),
        ({"transaction_id": ""}, "transaction.transaction_id"),
    ],
)
def test_grpc_errors_carry_details(stack: Stack, changed: dict[str, Any], field: str) -> None:
    """INVALID_ARGUMENT carries one ErrorInfo of domain vouch and the violations by field, from both services."""
    order = message(**changed)
    with grpc.insecure_channel(stack.address("ml")) as ml, grpc.insecure_channel(stack.address("agent")) as decider:
        calls: list[Any] = [
            lambda: ScoringServiceStub(ml).Predict(scoring.PredictRequest(transaction=order), timeout=5),
            lambda: AgentServiceStub(decider).Review(agent.ReviewRequest(transaction=order), timeout=5),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
            status = rpc_status.from_call(caught.value)
            info, violations = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            assert status.details[0].Unpack(info)
            assert status.details[1].Unpack(violations)
            assert (info.reason, info.domain) == ("INVALID_REQUEST", "vouch")
            assert next(each.field for each in violations.field_violations) == field


def test_a_missing_transaction_is_named(stack: Stack) -> None:
    """A request without a transaction is INVALID_ARGUMENT, not an empty order."""
    with grpc.insecure_channel(stack.address("ml")) as channel, pytest.raises(grpc.RpcError) as caught:
        ScoringServiceStub(channel).Predict(scoring.PredictRequest(), timeout=5)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_later_rpcs_say_so(stack: Stack) -> None:
    """RPCs of the contract that are not served yet answer UNIMPLEMENTED with their name."""
    with grpc.insecure_channel(stack.address("agent")) as channel:
        stub = CaseServiceStub(channel)
        calls: list[Any] = [
            lambda: stub.ClaimCase(cases.ClaimCaseRequest(case_id="x", reviewer="r"), timeout=5),
            lambda: stub.ResolveCase(
                cases.ResolveCaseRequest(case_id="x", reviewer="r", verdict=agent.DECISION_APPROVE), timeout=5
            ),
            lambda: list(stub.ExportLabels(cases.ExportLabelsRequest(), timeout=5)),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_a_huge_message_is_refused(stack: Stack) -> None:
    """Ten megabytes over gRPC are refused by size, and the server goes on."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        stub = ScoringServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(scoring.PredictRequest(transaction=message(user_agent="x" * 10_000_000)), timeout=5)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert stub.Predict(scoring.PredictRequest(transaction=message()), timeout=5).legitimacy_score > 0


def batch(stack: Stack, orders: list[Any], **options: Any) -> scoring.PredictBatchResponse:
    """Score a batch over gRPC."""
    with grpc.insecure_channel(stack.address("ml")) as channel:
        request = scoring.PredictBatchRequest(transactions=orders, **options)
        answer: scoring.PredictBatchResponse = ScoringServiceStub(channel).PredictBatch(request, timeout=30)
        return answer


def test_a_batch_is_scored_like_its_orders(stack: Stack, table: Any) -> None:
    """A batch of sparse and full orders gets, in order, what each alone gets, with and without reasons."""
    orders = [message(), *messages(table.slice(0, 60)), message(new_device=None)]
    with grpc.insecure_channel(stack.address("ml")) as channel:
        alone = [
            ScoringServiceStub(channel).Predict(scoring.PredictRequest(transaction=each, explain=True))
            for each in orders
        ]
    together = batch(stack, orders, explain=True)
    assert [each.index for each in together.results] == list(range(len(orders)))
    for one, result in zip(alone, together.results, strict=True):
        assert result.prediction.legitimacy_score == pytest.approx(one.legitimacy_score, abs=1e-12)
        assert [r.feature for r in result.prediction.reasons] == [r.feature for r in one.reasons]
    assert not batch(stack, orders[:2]).results[0].prediction.reasons


def test_a_bad_order_of_a_batch_fails_as_chosen(stack: Stack) -> None:
    """A bad order fails the call, named by its index, or alone in its place; none and too many are refused."""
    orders = [message(), message(order_amount=-1.0), message()]
    with pytest.raises(grpc.RpcError) as caught:
        batch(stack, orders)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
    assert "transactions[1].order_amount" in caught.value.details()  # type: ignore[operator]
    found = batch(stack, orders, error_policy=scoring.BATCH_ERROR_POLICY_FAIL_ITEM).results
    assert [each.WhichOneof("outcome") for each in found] == ["prediction", "error", "prediction"]
    assert found[1].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    for wrong in ([], [message()] * 4097):
        with pytest.raises(grpc.RpcError) as caught:
            batch(stack, wrong)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]
