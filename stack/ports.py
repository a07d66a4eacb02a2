"""The ports that the services listen on, and whether they are free."""

import socket
from collections.abc import Mapping
from typing import Final

PORTS: Final[Mapping[str, int]] = {
    "ml": 50051,
    "agent": 50052,
    "bridge_ml": 8000,
    "bridge_agent": 8001,
    "envoy": 8080,
    "ml_metrics": 9051,
    "agent_metrics": 9052,
}


def taken(ports: Mapping[str, int]) -> list[str]:
    """A sentence for each port that something else listens on already."""
    found = []
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                found.append(f"port {port} (for {name}) is taken: stop what listens there")
    return found
