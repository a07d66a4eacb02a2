"""Requirements of a start: free ports and a model."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from ml_server.settings import MlSettings
from stack.settings import StackSettings


def health_urls(ports: Mapping[str, int], *, secure: bool) -> dict[str, str]:
    """Return the health check of each HTTP service on this machine; `secure` says whether the edge has TLS."""
    edge = "https" if secure else "http"
    urls = {
        "scorer": f"http://127.0.0.1:{ports['bridge_ml']}/api/v1/health",
        "agent": f"http://127.0.0.1:{ports['bridge_agent']}/api/v1/health",
        "edge": f"{edge}://127.0.0.1:{ports['envoy']}/api/v1/health",
    }
    return urls | ({"console": f"http://127.0.0.1:{ports['console']}/console/health"} if "console" in ports else {})


def read_ports() -> dict[str, int]:
    """Return the port of each service from the settings, without those that are 0 or unset. Raise SettingsError."""
    stack, scorer, agent = StackSettings.read(), MlSettings.read(), AgentSettings.read()
    console = ConsoleSettings.read()
    by_service = {
        "ml": _port(scorer.listen),
        "agent": _port(agent.listen),
        "bridge_ml": stack.bridge_ml_port,
        "bridge_agent": stack.bridge_agent_port,
        "console": _port(console.listen),
        "envoy": stack.edge_port,
        "ml_metrics": _port(scorer.metrics_listen),
        "agent_metrics": _port(agent.metrics_listen),
    }
    return {name: port for name, port in by_service.items() if port}


REPLICATED: Final = {
    "ml": ("VOUCH_ML_LISTEN", "VOUCH_ML_METRICS_LISTEN"),
    "agent": ("VOUCH_AGENT_LISTEN", "VOUCH_AGENT_METRICS_LISTEN"),
}
"""Services that may have replicas, with their address settings."""
_PORT_STEP: Final = 10


def replicas(ports: Mapping[str, int], count: int) -> dict[str, int]:
    """Add the ports of further replicas, such as `agent.2`, and of their metrics, in steps of ten."""
    result = dict(ports)
    for number in range(2, count + 1):
        for name in (*REPLICATED, *(f"{service}_metrics" for service in REPLICATED)):
            if name in ports:
                result[f"{name}.{number}"] = ports[name] + _PORT_STEP * (number - 1)
    return result


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() else 0


def missing_requirements(ports: Mapping[str, int], models: Path) -> list[str]:
    """Return a message for each port in use, or else for a missing model."""
    from ml_server.registry.store import CURRENT  # imports numpy, which ports do not need

    if sentences := ports_in_use(ports):
        return sentences
    if (models / CURRENT).is_dir():
        return []
    return [f"{models} has no current model; run `vouch generate` and `vouch train` first"]


def ports_in_use(ports: Mapping[str, int]) -> list[str]:
    """Return a message for each port in use."""
    sentences = []
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                sentences.append(f"port {port} (for {name}) is in use; stop the process that listens on it")
    return sentences
