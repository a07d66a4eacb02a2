"""What services need before they start: the ports that they listen on, and a model."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from ml_server.registry.store import CURRENT
from ml_server.settings import MlSettings
from stack.settings import StackSettings


def ports() -> dict[str, int]:
    """Port of each service by its settings; 0 and none are left out. Raises SettingsError."""
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
"""Services of which there may be several: the settings that say where each listens."""
_APART: Final = 10


def replicas(at: Mapping[str, int], count: int) -> dict[str, int]:
    """The ports with those of further replicas, `agent.2` say: ten apart, and their metrics likewise."""
    found = dict(at)
    for number in range(2, count + 1):
        for name in (*REPLICATED, *(f"{service}_metrics" for service in REPLICATED)):
            if name in at:
                found[f"{name}.{number}"] = at[name] + _APART * (number - 1)
    return found


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() else 0


def lacking(ports: Mapping[str, int], models: Path) -> list[str]:
    """A sentence for each port that is taken; where none is, one for the model that is missing."""
    if sentences := taken(ports):
        return sentences
    if (models / CURRENT).is_dir():
        return []
    return [f"{models} holds no current model: run `vouch generate` and `vouch train` first"]


def taken(ports: Mapping[str, int]) -> list[str]:
    """A sentence for each port that something else listens on already."""
    sentences = []
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                sentences.append(f"port {port} (for {name}) is taken: stop what listens there")
    return sentences
