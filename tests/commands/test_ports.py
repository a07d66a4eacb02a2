"""`--port-base`: the ports of all services move together."""

import pytest

from agent_server.commands.client import ClientSettings
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from http_bridge.settings import HttpSettings
from load_test.options import AGENT_PORT, SCORER_PORT, local_url
from ml_server.settings import MlSettings
from runtime.settings import MAX_PORT_BASE, PORT_BASE, PORT_OFFSETS, Settings, SettingsError
from stack.config import settings_classes
from stack.ports import read_ports, replicas
from stack.status import main as status
from stack.up import MAX_REPLICAS, describe_addresses


def test_all_ports_move_and_clients_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a base, no two services share a port, all are in its range, and every client calls the moved address."""
    monkeypatch.setenv(PORT_BASE, "9000")
    ports = replicas(read_ports(), MAX_REPLICAS)
    assert len(set(ports.values())) == len(ports) == 8 + 4 * (MAX_REPLICAS - 1)
    assert all(9000 <= port <= 9080 for port in ports.values())
    scorer, agent = MlSettings.read().listen, AgentSettings.read().listen
    assert {AgentSettings.read().scorer, HttpSettings.read().scorer, ConsoleSettings.read().scorer} == {scorer}
    assert {HttpSettings.read().agent, ConsoleSettings.read().agent, ClientSettings.read().agent} == {agent}
    assert local_url(SCORER_PORT) == f"http://localhost:{ports['bridge_ml']}"
    assert local_url(AGENT_PORT) == f"http://localhost:{ports['bridge_agent']}"
    assert not [port for port in ("8000", "8001", "8002", "8080", "5005") if port in describe_addresses(ports, False)]


def test_no_address_is_forgotten() -> None:
    """Every setting whose default names a port is moved by the base."""
    with_port = {
        variable
        for kind in settings_classes().values()
        for name, variable in kind.variables().items()
        if names_a_port(kind, name)
    }
    assert with_port == set(PORT_OFFSETS)


def names_a_port(kind: type[Settings], name: str) -> bool:
    """Return whether the default of a setting is a port or an address with one."""
    default = kind.model_fields[name].default
    return (name.endswith("_port") and bool(default)) or (isinstance(default, str) and default.startswith("127.0.0.1:"))


def test_an_own_setting_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that is set itself does not move."""
    monkeypatch.setenv(PORT_BASE, "9000")
    monkeypatch.setenv("VOUCH_ML_LISTEN", "127.0.0.1:4000")
    assert read_ports()["ml"] == 4000 and read_ports()["agent"] == 9004


@pytest.mark.parametrize("base", ["0", "-1", "nine", "", str(MAX_PORT_BASE + 1), "9" * 400, "\u0669000"])
def test_a_wrong_base_is_refused(
    base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A base from which the ports do not fit is an error that names the variable."""
    monkeypatch.setenv(PORT_BASE, base)
    with pytest.raises(SettingsError, match=PORT_BASE):
        MlSettings.read()
    assert status([]) == 2 and PORT_BASE in capsys.readouterr().err
