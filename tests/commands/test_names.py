"""Unknown names of commands and settings, and the names in usage lines."""

import importlib
import pkgutil
import sys
from importlib.metadata import version
from types import ModuleType

import pytest

import agent_server
import console
import http_bridge
import load_test
import ml_server
import runtime
import stack
import vouch
from agent_server.settings import AgentSettings
from ml_server.settings import MlSettings
from runtime.process.main import main as start_server
from runtime.settings import PREFIXES, Settings, SettingsError
from testing.servers.processes import run


def _all_settings() -> set[type[Settings]]:
    """Return every settings class of every service and command."""
    packages: tuple[ModuleType, ...] = (agent_server, console, http_bridge, load_test, ml_server, runtime, stack)
    for package in packages:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.rpartition(".")[2] in ("settings", "client", "keys"):
                importlib.import_module(module.name)
    found: set[type[Settings]] = set()
    waiting: list[type[Settings]] = [Settings]
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found |= set(below)
    return found


def test_every_prefix_is_known() -> None:
    """A settings class whose prefix the check of names does not know would have its variables refused elsewhere."""
    assert {one.prefix for one in _all_settings()} - {Settings.prefix} == set(PREFIXES)


@pytest.mark.parametrize(
    ("variable", "wanted"),
    [
        ("VOUCH_AGENT_LEDGER", "did you mean VOUCH_AGENT_LEDGER_URL?"),
        ("VOUCH_AGENT_APROVE_THRESHOLD", "did you mean VOUCH_AGENT_APPROVE_THRESHOLD?"),
        ("VOUCH_AGNET_APPROVE_THRESHOLD", "did you mean VOUCH_AGENT_APPROVE_THRESHOLD?"),
        ("VOUCH_MODELDIR", "did you mean VOUCH_MODELS_DIR?"),
        ("VOUCH_PORTS_BASE", "did you mean VOUCH_PORT_BASE?"),
        ("VOUCH_PORT_BSE", "did you mean VOUCH_PORT_BASE?"),
        ("vouch_agent_ledgr_url", "did you mean VOUCH_AGENT_LEDGER_URL?"),
        ("VOUCH_AGENT_QQQQQQQQQQQQQQQQQQQQQQQQ", "is not a setting (all"),
        ("VOUCH_", "is not a setting"),
    ],
)
def test_an_unknown_setting_stops_the_start(variable: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is refused with the nearest known one, also if its prefix is misspelt."""
    monkeypatch.setenv(variable, "1")
    with pytest.raises(SettingsError) as caught:
        AgentSettings.read()
    assert str(caught.value).startswith(variable)
    assert wanted in str(caught.value)


def test_settings_of_others_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service ignores the variables of other services, whose names it does not know."""
    monkeypatch.setenv("VOUCH_AGENT_LEDGR", "1")
    monkeypatch.setenv("VOUCH_PORT_ENVOY", "1")
    monkeypatch.setenv("VOUCH_LOAD_API_KEY", "1")
    MlSettings.read()


def _vouch(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["vouch", *arguments])
    code = vouch.main()
    return code, *capsys.readouterr()


@pytest.mark.parametrize(
    ("word", "wanted"),
    [("trian", "vouch train"), ("generat", "vouch generate"), ("model", "vouch models"), ("zzz", "")],
)
def test_an_unknown_command_names_the_nearest(
    word: str, wanted: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is one line with the nearest command, and exit code 2."""
    code, out, error = _vouch(monkeypatch, capsys, word)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert ("did you mean" in error, wanted in error) == (bool(wanted), True)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_is_printed(
    option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`vouch --version` prints the installed version."""
    assert _vouch(monkeypatch, capsys, option) == (0, f"vouch {version('vouch')}\n", "")


@pytest.mark.parametrize("name", vouch.COMMANDS)
def test_usage_names_the_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage line of every command has the command as typed."""
    with pytest.raises(SystemExit):
        _vouch(monkeypatch, capsys, name, "--help")
    assert capsys.readouterr().out.startswith(f"usage: vouch {name} ")


@pytest.mark.parametrize("script", ["test_api.py", "test_review_transactions.py"])
def test_usage_names_the_documented_file(script: str) -> None:
    """The workshop's files have their own names in their usage lines."""
    assert run(script, "--help").stdout.startswith(f"usage: {script} ")


@pytest.mark.parametrize("option", ["--insecur", "--i", "--work=2"])
def test_servers_refuse_shortened_options(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is started with a misspelt `--insecure` exits with 2 instead of opening itself to the network."""

    async def serve(settings: MlSettings, worker: bool) -> None:
        pytest.fail(f"served with insecure={settings.insecure}")

    with pytest.raises(SystemExit) as caught:
        start_server("ml_server", MlSettings, serve, arguments=[option])
    assert caught.value.code == 2
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err
