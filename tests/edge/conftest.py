"""Edges with their own settings before the services of the session, and edges without services."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from testing.servers.processes import Stack
from testing.servers.replicas import envoy
from testing.waiting import wait_for

Open = Callable[..., str]
_BEHIND = {
    "scorer": "ml",
    "agent": "agent",
    "bridge-ml": "rest_ml",
    "bridge-agent": "rest_agent",
    "console": "console",
}


def answers_anything(url: str) -> bool:
    """Return whether an edge answers."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{url}/nothing", headers={"host": "localhost"}).status_code == 404
    return False


@pytest.fixture
def open_edge(stack: Stack, tmp_path: Path) -> Iterator[Open]:
    """Return a function that starts an edge before the session's services with settings; it returns the URL."""
    ports = [f"--{option}={stack.ports[name]}" for option, name in _BEHIND.items()]
    with contextlib.ExitStack() as opened:

        def start(**settings: str) -> str:
            variables = {
                name if name.startswith("VOUCH_") else f"VOUCH_EDGE_{name}": value for name, value in settings.items()
            }
            url = f"http://{opened.enter_context(envoy(tmp_path / 'edge.log', *ports, **variables))}"
            wait_for(lambda: answers_anything(url), what="an edge")
            return url

        yield start


@pytest.fixture(scope="module")
def standalone_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an edge without services; yield its URL."""
    assert not [name for name in os.environ if name.startswith("VOUCH_")]
    nobody = [f"--{name}=1" for name in _BEHIND]
    with envoy(tmp_path_factory.mktemp("lonely") / "log", *nobody) as address:
        wait_for(lambda: answers_anything(f"http://{address}"), what="the edge")
        yield f"http://{address}"
