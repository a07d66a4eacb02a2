"""Streams at the edge and at the bridge: they have no timeout, and take no capacity from other calls."""

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml
from fastapi.routing import APIRoute
from starlette.routing import Route

from console.application import ROUTES
from generated.vouch.v1 import agent_service_pb2, case_service_pb2, outcome_service_pb2, privacy_service_pb2
from generated.vouch.v1 import scoring_service_pb2 as scoring
from http_bridge import agent as agent_rest
from http_bridge import ml as scorer_rest
from http_bridge.events import EventStream
from runtime.client.split_channel import STREAMS_PER_CONNECTION
from stack.edge_config.access import misrouted_streams, streams
from stack.edge_config.configuration import apply_settings
from stack.settings import EdgeSettings
from testing.inputs.hostile import ORDER
from testing.requests import BOTH, post
from testing.servers.processes import ROOT, Stack

CONTRACT = [
    service
    for module in (agent_service_pb2, case_service_pb2, outcome_service_pb2, privacy_service_pb2, scoring)
    for service in module.DESCRIPTOR.services_by_name.values()
]
CONSOLE_STREAMS = {"/console/queue/changes"}


def configuration(**settings: Any) -> Any:
    """Return the edge's configuration with settings."""
    return apply_settings(yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text()), EdgeSettings(**settings))


def routes_of(config: Any) -> list[dict[str, Any]]:
    """Return the edge's routes."""
    manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    routes: list[dict[str, Any]] = manager["route_config"]["virtual_hosts"][0]["routes"]
    return routes


def test_every_stream_of_the_contract_has_its_route() -> None:
    """Each stream has a route without timeout and with the cluster of streams; a missing one is found."""
    config = configuration(privacy=True)
    assert misrouted_streams(config, CONTRACT) == []
    paths = [f"/{method.containing_service.full_name}/{method.name}" for method in streams(CONTRACT)]
    assert len(paths) >= 3
    for path in paths:
        lacking, hurried, shared = copy.deepcopy(config), copy.deepcopy(config), copy.deepcopy(config)
        routes_of(lacking)[:] = [each for each in routes_of(lacking) if each["match"].get("path") != path]
        (own,) = [each for each in routes_of(hurried) if each["match"].get("path") == path]
        own["route"]["timeout"] = "10s"
        (own,) = [each for each in routes_of(shared) if each["match"].get("path") == path]
        own["route"]["cluster"] = "agent"
        for broken in (lacking, hurried, shared):
            assert path in misrouted_streams(broken, CONTRACT)


def test_no_call_of_the_contract_sends_a_stream() -> None:
    """The edge accepts one message per call (frames.lua); streaming requests would need another rule."""
    assert not [method.full_name for service in CONTRACT for method in service.methods if method.client_streaming]


def test_every_stream_of_rest_and_console_has_its_route() -> None:
    """Server-sent events have an exact path, no timeout, and a cluster that no other call uses."""
    paths = set(CONSOLE_STREAMS)
    for app in (agent_rest.app, scorer_rest.app):
        for route in app.routes:
            if isinstance(route, APIRoute) and getattr(route, "response_class", None) is EventStream:
                paths.add(route.path)
    assert "/api/v1/cases/watch" in paths
    assert {route.path for route in ROUTES if isinstance(route, Route)} >= CONSOLE_STREAMS
    routes = [each for each in routes_of(configuration()) if "route" in each]
    for path in paths:
        (own,) = [each for each in routes if each["match"].get("path") == path]
        assert own["route"]["timeout"] == "0s"
        if path not in CONSOLE_STREAMS:  # the console's cluster has room for a few hundred pages
            assert [each for each in routes if each["route"]["cluster"] == own["route"]["cluster"]] == [own]


@contextlib.contextmanager
def watching(url: str, number: int) -> Iterator[None]:
    """Run watchers, each of which has received something."""
    with contextlib.ExitStack() as opened:
        limits = httpx.Limits(max_connections=None)
        client = opened.enter_context(httpx.Client(timeout=120, limits=limits))
        for _ in range(number):
            answer = opened.enter_context(client.stream("GET", f"{url}/api/v1/cases/watch"))
            assert answer.status_code == 200
            assert next(answer.iter_lines()).startswith(":")
        yield


@pytest.mark.envoy
def test_watchers_take_no_capacity_of_reviews(stack: Stack) -> None:
    """Beside more watchers than the edge's limit for reviews, every review through the edge is answered."""
    with watching(stack.url("edge"), 24):
        for _ in range(10):
            assert post(stack, ("edge", "/api/v1/review"), ORDER).status_code == 200


def test_watchers_take_no_connection_of_reviews(stack: Stack) -> None:
    """Beside more watchers than the agent's streams per connection, the bridge answers every review."""
    assert STREAMS_PER_CONNECTION < 100
    with watching(stack.url("rest_agent"), 110):
        for _ in range(5):
            assert post(stack, BOTH[1], ORDER).status_code == 200
