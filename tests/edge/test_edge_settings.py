"""The edge's settings: limits by key, allowed origins, logs without personal data, several addresses."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from runtime.settings import SettingsError
from stack.edge_config.configuration import SECURITY_HEADERS, apply_settings
from stack.settings import EdgeSettings
from testing.inputs.hostile import ORDER
from testing.servers.processes import ROOT, Stack, answers
from testing.servers.replicas import envoy
from testing.transports import JSON_TYPE, encode_body
from testing.waiting import wait_for

LIMITED, PAGES = {"RATE_LIMIT": "1", "ADDRESS_RATE_LIMIT": "0"}, {"ORIGINS": "https://shop.example"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ADDRESS", "0.0.0.0"), ("ADDRESS", "everywhere"), ("ORIGINS", "*"), ("ORIGINS", "https://a.example/path"),
        ("ORIGINS", "javascript:alert(1)"), ("SCORERS", "scorer:99999"), ("RATE_LIMIT", "-1"), ("WORKERS", "0"),
    ],
)  # fmt: skip
def test_settings_that_let_too_many_in_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A remote address without TLS, any origin, or no address is refused with the setting's name."""
    monkeypatch.setenv(f"VOUCH_EDGE_{name}", value)
    with pytest.raises(SettingsError, match=f"VOUCH_EDGE_{name}"):
        EdgeSettings.read()


def test_limits_grow_with_the_services_behind() -> None:
    """Two addresses of four workers get eight times the limit of one process; retries are not limited below need."""
    config = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text())
    before = {
        each["name"]: each["circuit_breakers"]["thresholds"][0]["max_requests"]
        for each in config["static_resources"]["clusters"]
    }
    apply_settings(config, EdgeSettings(scorers=("a:1", "b:2"), workers=4))
    clusters = {each["name"]: each for each in config["static_resources"]["clusters"]}
    scorer = clusters["scorer"]
    assert scorer["circuit_breakers"]["thresholds"][0]["max_requests"] == 8 * before["scorer"]
    assert clusters["agent"]["circuit_breakers"]["thresholds"][0]["max_requests"] == 4 * before["agent"]
    assert scorer["type"] == "STRICT_DNS" and len(scorer["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 2
    assert scorer["health_checks"][0]["grpc_health_check"]["service_name"] == "vouch.v1.ScoringService"


Open = Callable[[dict[str, str]], tuple[str, Path]]


@pytest.fixture
def edge(stack: Stack, tmp_path: Path) -> Iterator[Open]:
    """Return a function that starts another edge before the same services; it returns the URL and the log."""
    names = {"scorer": "ml", "agent": "agent", "bridge-ml": "rest_ml", "bridge-agent": "rest_agent"}
    ports = [f"--{option}={stack.address(name).rpartition(':')[2]}" for option, name in names.items()]
    with contextlib.ExitStack() as opened:

        def start(settings: dict[str, str]) -> tuple[str, Path]:
            variables = {f"VOUCH_EDGE_{name}": value for name, value in settings.items()}
            url = f"http://{opened.enter_context(envoy(tmp_path / 'edge.log', *ports, **variables))}"
            wait_for(answers(f"{url}/api/v1/health"), what="an edge")
            return url, tmp_path / "edge.log"

        yield start


@pytest.mark.envoy
def test_one_key_does_not_use_up_anothers_calls(edge: Open) -> None:
    """Over the limit each transport answers 429 in its format, with a time to retry; another key is served."""
    url, _ = edge(LIMITED)
    with httpx.Client(timeout=20) as client:

        def ask(key: str, path: str = "/api/v1/predict") -> httpx.Response:
            return client.post(url + path, content=encode_body(ORDER), headers=JSON_TYPE | {"x-api-key": key})

        refused = next(answer for answer in (ask("greedy") for _ in range(500)) if answer.status_code != 200)
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        assert "retry" in refused.json()["detail"]
        assert ask("modest").status_code == 200
        canonical = next(
            answer
            for answer in (ask("eager", "/v1/transactions:predict") for _ in range(500))
            if answer.status_code != 200
        )
        assert (canonical.status_code, canonical.json()["code"]) == (429, 8)


@pytest.mark.envoy
def test_pages_of_named_origins_may_ask(edge: Open) -> None:
    """Browsers on pages of allowed origins may call, also by gRPC-Web; those of other origins may not."""
    url, _ = edge(PAGES)
    question = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-api-key,x-grpc-web",
    }
    with httpx.Client(timeout=20) as client:
        for path in ("/v1/transactions:predict", "/vouch.v1.ScoringService/Predict", "/api/v1/predict"):
            preflight = client.options(url + path, headers=question | {"origin": "https://shop.example"})
            assert (
                preflight.status_code == 200
                and preflight.headers["access-control-allow-origin"] == "https://shop.example"
            )
            assert "x-api-key" in preflight.headers["access-control-allow-headers"]
            other = client.options(url + path, headers=question | {"origin": "https://evil.example"})
            assert "access-control-allow-origin" not in other.headers
        keyed = JSON_TYPE | {"origin": "https://shop.example", "x-api-key": "some-key"}
        answer = client.post(f"{url}/v1/transactions:predict", content=encode_body(ORDER), headers=keyed)
        assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == "https://shop.example"


@pytest.mark.envoy
def test_the_access_log_holds_nothing_personal(edge: Open) -> None:
    """Each request has one JSON line with its id and status, and no order id, key or address."""
    url, log = edge({"ACCESS_LOG": "true"})
    headers = JSON_TYPE | {"x-api-key": "CANARY-KEY", "x-request-id": "seen-7", "user-agent": "CANARY-AGENT"}
    with httpx.Client(timeout=20) as client:
        client.post(
            f"{url}/api/v1/review", content=encode_body(ORDER | {"transaction_id": "CANARY-1"}), headers=headers
        )
        client.get(f"{url}/v1/decisions/CANARY-1?colour=CANARY", headers=headers)
        wait_for(lambda: log.read_text().count("seen-7") == 2, what="two lines")
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    seen = [line for line in lines if line.get("request_id") == "seen-7"]
    assert [line["status"] for line in seen] == [200, 400] and seen[0]["cluster"] == "bridge_agent"
    assert "CANARY" not in log.read_text() and "127.0.0.1" not in str(seen)


def test_headers_for_browsers_come_with_tls() -> None:
    """With its own certificate, every answer has nosniff and HSTS headers."""
    config = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text())
    apply_settings(config, EdgeSettings(tls_certificate=Path("c"), tls_key=Path("k")))
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    added = manager["route_config"]["virtual_hosts"][0]["response_headers_to_add"]
    assert {each["header"]["key"] for each in added} == set(SECURITY_HEADERS)
