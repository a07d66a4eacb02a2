"""`vouch status`: what runs where."""

from stack.status import check
from testing.servers.processes import Stack
from testing.waiting import free_port


def ports_of(stack: Stack) -> dict[str, int]:
    """Return the ports of a running stack, named as `vouch up` names them."""
    names = {"bridge_ml": "rest_ml", "bridge_agent": "rest_agent", "envoy": "edge"}
    return {name: int(stack.address(service).rpartition(":")[2]) for name, service in names.items()}


def test_running_services_are_healthy(stack: Stack) -> None:
    """Each service that runs is healthy, with its address, the scorer's model and the agent's policy."""
    found = {one.service: one for one in check(ports_of(stack), secure=False)}
    assert {name: one.health for name, one in found.items()} == dict.fromkeys(("scorer", "agent", "edge"), "healthy")
    assert found["scorer"].details.startswith("model ") and found["scorer"].url == stack.url("rest_ml")


def test_a_service_that_does_not_run_is_unavailable(stack: Stack) -> None:
    """A port that nobody listens on is unavailable; the other services are still checked."""
    ports = ports_of(stack) | {"envoy": free_port(), "console": free_port()}
    found = {one.service: one.health for one in check(ports, secure=False)}
    assert found == {"scorer": "healthy", "agent": "healthy", "edge": "unavailable", "console": "unavailable"}
