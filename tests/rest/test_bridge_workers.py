"""The bridge: several workers of one app, their common metrics, and the health of an app that is starting."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from http_bridge.health_state import STARTING_SECONDS, HealthState
from testing.inputs.hostile import ORDER
from testing.servers.processes import PYTHON, Stack, answers, launch
from testing.waiting import free_port, wait_for

FAMILY = "http_server_request_duration_seconds"


@contextmanager
def rest_address(stack: Stack, log: Path, *options: str, **settings: str) -> Iterator[str]:
    """Run the agent's REST as uvicorn starts it; yield its address."""
    port = str(free_port())
    environment = stack.environment() | {"VOUCH_HTTP_AGENT": stack.address("agent")} | settings
    command = [PYTHON, "-m", "uvicorn", "http_bridge.agent:app", "--port", port, *options]
    with log.open("wb") as output:
        process = launch(command, env=environment, stdout=output.fileno(), stderr=output.fileno())
    try:
        wait_for(answers(f"http://127.0.0.1:{port}/api/v1/health"), what="the app")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        assert process.wait(20) in (0, -signal.SIGTERM)


def count_requests(url: str, route: str) -> dict[str, float]:
    """Return how many requests of a route are counted, by status."""
    families = {each.name: each for each in text_string_to_metric_families(httpx.get(f"{url}/metrics").text)}
    return {
        sample.labels["http_response_status_code"]: sample.value
        for sample in families[FAMILY].samples
        if sample.name.endswith("_count") and sample.labels["http_route"] == route
    }


def test_workers_count_together_and_are_replaced(stack: Stack, tmp_path: Path) -> None:
    """The sums include the answers of both workers, also after one was killed, and the app continues with two."""
    counts, log = tmp_path / "counts", tmp_path / "log"
    counts.mkdir()
    with rest_address(stack, log, "--workers", "2", PROMETHEUS_MULTIPROC_DIR=str(counts)) as url:
        wait_for(lambda: log.read_text().count("Started server process") == 2, what="both")
        for number in range(20):  # each with a new connection, so that both are used
            order = ORDER | ({"transaction_id": f"workers-{number}"} if number % 4 else {"currency": "euro"})
            assert httpx.post(f"{url}/api/v1/review", json=order).status_code == (200 if number % 4 else 422)
        wait_for(lambda: count_requests(url, "/api/v1/review") == {"200": 15, "422": 5}, what="the sums")
        pids = [int(found) for found in re.findall(r"Started server process \[(\d+)\]", log.read_text())]
        os.kill(pids[0], signal.SIGKILL)
        wait_for(lambda: log.read_text().count("Started server process") == 3, what="another one")
        for number in range(10):
            assert httpx.get(f"{url}/api/v1/decisions/none-{number}").status_code == 404
        wait_for(lambda: count_requests(url, "/api/v1/review") == {"200": 15, "422": 5}, what="the sums")
        wait_for(lambda: count_requests(url, "/api/v1/decisions/{transaction_id:path}") == {"404": 10}, what="the sums")


def test_metrics_hold_nothing_of_callers_and_need_a_key(stack: Stack, tmp_path: Path) -> None:
    """Paths, methods, keys and orders of any spelling become fixed words; with keys, metrics require one."""
    with rest_address(stack, tmp_path / "log") as url:
        httpx.post(f"{url}/api/v1/review", json=ORDER | {"transaction_id": "CANARY-1"}, headers={"x-api-key": "CANARY"})
        httpx.request("PURGE", f"{url}/api/v1/review")
        httpx.get(f"{url}/CANARY?CANARY=CANARY")
        shown = httpx.get(f"{url}/metrics").text
        assert "CANARY" not in shown and 'http_request_method="(other)"' in shown
        assert count_requests(url, "/api/v1/review") == {"200": 1, "405": 1}
        assert count_requests(url, "(none)") == {"404": 1}
        assert httpx.post(f"{url}/metrics").status_code == 405
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    with rest_address(stack, tmp_path / "log", VOUCH_HTTP_API_KEYS=str(keys)) as url:
        assert httpx.get(f"{url}/metrics").status_code == 401


def test_one_of_several_alone_shows_no_metrics(stack: Stack, tmp_path: Path) -> None:
    """Workers without a common folder refuse to show the counts of one as those of all, and say what to do."""
    with rest_address(stack, tmp_path / "log", "--workers", "2") as url:
        answer = httpx.get(f"{url}/metrics")
        assert answer.status_code == 503 and "PROMETHEUS_MULTIPROC_DIR" in answer.text


@pytest.mark.parametrize("otherwise", ["unhealthy", "degraded"])
def test_starting_has_a_time_limit(otherwise: str) -> None:
    """An app is starting until it was healthy once, for a minute at most; later failures are no starting."""
    now = 0.0
    condition = HealthState(lambda: now)
    assert condition.label(False, otherwise) == "starting"
    now = STARTING_SECONDS + 1
    assert condition.label(False, otherwise) == otherwise
    now = 0.0
    again = HealthState(lambda: now)
    assert [again.label(well, otherwise) for well in (False, True, False)] == ["starting", "healthy", otherwise]
