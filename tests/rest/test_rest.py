"""The documented REST: every endpoint, every error."""

import json
import re
import shutil
import subprocess
from typing import Any

import httpx
import pyarrow as pa
import pytest

from contract.fields import FIELDS, LABELS
from load_test.orders import as_body
from testing.inputs.orders import ALL_DOCUMENTED, DOCUMENTED
from testing.requests import BOTH, post
from testing.servers.processes import Stack


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_documented_curl_works(stack: Stack) -> None:
    """The documented curl command gets 200 on both services, with the documented fields."""
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
    """A body with all 38 documented fields works unchanged."""
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
    """Both /docs load nothing from other hosts; OpenAPI describes every field of Transaction and shows the example."""
    for service, path in BOTH:
        page = httpx.get(stack.url(service) + "/docs")
        assert page.status_code == 200
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links
        assert all(httpx.get(stack.url(service) + link).status_code == 200 for link in links), links
        document = httpx.get(stack.url(service) + "/openapi.json").json()
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/TransactionRequest"}
        properties = document["components"]["schemas"]["TransactionRequest"]["properties"]
        assert set(properties) == {*FIELDS, "extra"}
        assert all(entry["description"] for entry in properties.values())
        assert content["example"] == DOCUMENTED
        response = document["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
        assert "legitimacy_score" in document["components"]["schemas"][response.rpartition("/")[2]]["properties"]


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
    """A body that is no JSON object, or far too large, is a 4xx with a detail."""
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
    """A null field scores like an absent one."""
    without = {key: value for key, value in DOCUMENTED.items() if key != "email_domain"}
    scores = [
        post(stack, BOTH[0], body).json()["legitimacy_score"]
        for body in (without, DOCUMENTED | {"email_domain": None}, DOCUMENTED)
    ]
    assert scores[0] == scores[1] != scores[2]


def test_times_are_read_alike(stack: Stack) -> None:
    """A naive time is UTC; the same moment in another notation gives the same score."""
    written = ("2025-02-11T10:00:00", "2025-02-11 10:00:00", "2025-02-11T10:00:00Z", "2025-02-11T12:00:00+02:00")
    scores = {post(stack, BOTH[0], DOCUMENTED | {"timestamp": time}).json()["legitimacy_score"] for time in written}
    assert len(scores) == 1


def test_explanations_are_a_choice(stack: Stack) -> None:
    """With none, reasons, full, true and false the score is the same, and only the requested parts are present."""

    def explained(word: str) -> dict[str, Any]:
        answer: dict[str, Any] = post(stack, BOTH[0], DOCUMENTED, params={"explain": word}).json()
        return answer

    whole = post(stack, BOTH[0], DOCUMENTED).json()
    none, reasons = explained("none"), explained("reasons")
    assert explained("full") == explained("true") == explained("TRUE") == whole and explained("false") == none
    assert whole["explanation"]["contributions"] and not reasons["explanation"]["contributions"]
    assert reasons["reasons"] == whole["reasons"] and reasons["explanation"]["groups"] == whole["explanation"]["groups"]
    assert not none["reasons"] and none["explanation"] is None
    assert none["legitimacy_score"] == reasons["legitimacy_score"] == whole["legitimacy_score"]
    refused = post(stack, BOTH[0], DOCUMENTED, params={"explain": "all"})
    assert refused.status_code == 422 and refused.json()["detail"][0]["loc"] == ["query", "explain"]


@pytest.fixture(scope="module")
def in_review(stack: Stack, table: pa.Table) -> dict[str, Any]:
    """Return the answer for an order between the thresholds."""
    for order in table.slice(0, 400).drop_columns(list(LABELS)).to_pylist():
        answer: dict[str, Any] = post(stack, BOTH[1], as_body(order)).json()
        if 0.4 < answer["legitimacy_score"] < 0.7:
            return answer
    raise AssertionError("no order lies between the thresholds")


def test_the_review_zone_opens_a_case(stack: Stack, in_review: dict[str, Any]) -> None:
    """Between the thresholds: review, evidence in five groups, and a case that has the order and the decision."""
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
    recorded = httpx.get(f"{url}/decisions/{in_review['transaction_id']}").json()
    assert recorded["review"]["transaction_id"] == in_review["transaction_id"]


def test_missing_records_are_404(stack: Stack) -> None:
    """Unknown cases and decisions are 404; a bad page token is 422."""
    url = stack.url("rest_agent") + "/api/v1"
    assert httpx.get(f"{url}/cases/none").status_code == 404
    assert httpx.get(f"{url}/decisions/none").status_code == 404
    assert httpx.get(f"{url}/cases", params={"page_token": "x"}).status_code == 422
    assert httpx.get(f"{url}/cases", params={"status": "lost"}).status_code == 422


def test_a_repeated_review_gets_the_recorded_answer(stack: Stack) -> None:
    """The same body again, over each transport, gets the same bytes with the header vouch-replayed; lists show one."""
    body = DOCUMENTED | {"transaction_id": "asked-twice"}
    first, again = (post(stack, BOTH[1], body) for _ in range(2))
    assert first.headers.get("vouch-replayed") is None
    assert again.headers["vouch-replayed"] == "true"
    assert first.content == again.content
    edge = httpx.post(stack.url("edge") + "/api/v1/review", json=body, timeout=10)
    assert (edge.content, edge.headers["vouch-replayed"]) == (first.content, "true")
    canonical = body | {"timestamp": body["timestamp"] + "Z"}
    through_envoy = httpx.post(stack.url("edge") + "/v1/transactions:review", json=canonical, timeout=10)
    assert through_envoy.headers["vouch-replayed"] == "true"
    assert through_envoy.json()["decision_id"] == first.json()["decision_id"]
    other = post(stack, BOTH[1], body | {"order_amount": 1.0}).json()
    assert (other["revision"], other["replaces_decision_id"]) == (2, first.json()["decision_id"])
    url = stack.url("rest_agent") + "/api/v1/decisions"
    listed = httpx.get(url, params={"transaction_id": "asked-twice"}).json()["records"]
    assert [record["revision"] for record in listed] == [1, 2]
    assert listed[0]["transaction"]["email_domain"] == "tempmail.net"
    later = httpx.get(url, params={"transaction_id": "asked-twice", "since": "2100-01-01T00:00:00"})
    assert later.json()["records"] == []
    assert httpx.get(url, params={"since": "yesterday"}).status_code == 422
    through_envoy = httpx.get(stack.url("edge") + "/v1/decisions?transaction_id=asked-twice")
    assert [record["revision"] for record in through_envoy.json()["records"]] == [1, 2]
