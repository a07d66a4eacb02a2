"""Files that settings name: what is no regular file of a sensible size is refused at once, at the start and while serving."""

import asyncio
import importlib
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_server.audit.signing import Signing, make_key
from agent_server.decisions.policy import Policy
from agent_server.feedback.golden_cases import read_golden
from agent_server.ledger import LedgerError
from agent_server.policies.current import WatchedPolicy, current_policy
from agent_server.policies.nodes import PolicyError
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from console.signed_out import SignedOutSessions
from http_bridge.middleware.access import Gate
from http_bridge.settings import HttpSettings
from ml_server.registry.bundle import SERVED, ArtifactError
from ml_server.registry.store import CURRENT, SUMS
from ml_server.serving.swapping import proven
from ml_server.settings import MlSettings
from runtime.access import SecurityError
from runtime.access.keys import ApiKeys, digest, new_key
from runtime.access.tls import FrontSettings, Replaced, ServerFiles, server_credentials
from runtime.files import UnusableFile, read_file
from runtime.rpc.server import Server
from runtime.settings import ServerSettings, Settings
from stack.edge_secrets import apply_tls
from stack.settings import EdgeSettings
from testing.servers.certificates import Certificates
from testing.servers.processes import ROOT

SECONDS = 60.0
DEFAULTS = Policy(0.7, 0.4)
BASES = {Settings, ServerSettings, FrontSettings}
"""Classes that are only inherited from."""
PACKAGES = ("agent_server", "ml_server", "http_bridge", "console", "stack", "load_test", "conformance", "runtime")

# -- hostile files


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # addresses of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(here)


def _pipe(path: Path) -> None:
    path.symlink_to(f"/dev/fd/{os.pipe()[0]}")  # as /dev/stdin of a process that is piped to; stays open


def _too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(3 << 30)  # of which the disk has nothing


HOSTILE: dict[str, Callable[[Path], object]] = {
    "fifo": _fifo,
    "folder": Path.mkdir,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/ptmx"),
    "pipe": _pipe,
    "socket": _socket,
    "too large": _too_large,
    "empty": Path.touch,
    "unreadable": lambda path: path.symlink_to(
        "/proc/self/mem"
    ),  # a regular file that also root cannot read from its start
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
}

# -- what reads


@dataclass(frozen=True)
class Good:
    """Files that can be used, for the settings beside the one that is tried."""

    folder: Path
    models: Path
    certificates: Certificates

    def model(self) -> Path:
        """A copy of the model that may be damaged."""
        target = self.folder / "models"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.models, target, symlinks=True)
        return target


Read = Callable[[Path, Good], object]


def _server(settings: type[ServerSettings], **given: Any) -> object:
    async def made() -> object:
        return Server(settings.read(metrics_listen="", **given), {}, roles={}, handle_signals=False)

    return asyncio.run(made())


def _server_tls(name: str) -> Read:
    def read(path: Path, good: Good) -> object:
        certificate, key = good.certificates.pair
        files = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": good.certificates.ca} | {name: path}
        return server_credentials(ServerFiles(*files.values()))

    return read


def _client_tls(settings: type[Settings], prefix: str, name: str) -> Read:
    def read(path: Path, good: Good) -> object:
        certificate, key = good.certificates.pair
        files = {"tls_ca": good.certificates.ca, "tls_certificate": certificate, "tls_key": key} | {name: path}
        found = settings.read(**{f"{prefix}{name}": file for name, file in files.items()})
        return getattr(found, f"{prefix}tls").credentials()

    return read


def _edge(name: str) -> Read:
    def read(path: Path, good: Good) -> object:
        certificate, key = good.certificates.pair
        files = {
            "tls_certificate": certificate, "tls_key": key, "services_tls_ca": good.certificates.ca,
            "services_tls_certificate": certificate, "services_tls_key": key,
        } | {name: path}  # fmt: skip
        config = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text())
        return apply_tls(config, EdgeSettings.read(**files), lambda secret: Path("kept"))

    return read


def _model_file(name: str) -> Read:
    def read(path: Path, good: Good) -> object:
        models = good.model()
        damaged = models / CURRENT / name
        damaged.unlink()
        shutil.move(path, damaged) if not path.is_symlink() else damaged.symlink_to(os.readlink(path))
        return proven(models)

    return read


def _listed(path: Path, good: Good) -> object:
    policy = path.with_name("policy.yaml")
    policy.write_text(f"lists: {{blocked: {{file: {path.name}}}}}\n")
    return current_policy(policy, DEFAULTS)


ROWS: dict[str, tuple[Read, type[Exception]]] = {
    "VOUCH_ML_API_KEYS": (lambda path, _: _server(MlSettings, api_keys=path), SecurityError),
    "VOUCH_AGENT_API_KEYS": (lambda path, _: _server(AgentSettings, api_keys=path), SecurityError),
    "VOUCH_HTTP_API_KEYS": (
        lambda path, _: Gate(None, HttpSettings.read(api_keys=path), lambda *_: None),  # type: ignore[arg-type]
        SecurityError,
    ),
    "VOUCH_CONSOLE_SIGNED_OUT_FILE": (lambda path, _: SignedOutSessions(path), OSError),
    "VOUCH_AGENT_POLICY": (lambda path, _: current_policy(path, DEFAULTS), PolicyError),
    "a list of a policy": (_listed, PolicyError),
    "VOUCH_AGENT_GOLDEN_ORDERS": (lambda path, _: read_golden(path), LedgerError),
    "VOUCH_AGENT_LEDGER_KEY": (lambda path, _: Signing(path), LedgerError),
    "VOUCH_MODELS_DIR": (lambda path, _: proven(path), ArtifactError),
    **{f"{name} of a model": (_model_file(name), ArtifactError) for name in (*SERVED, SUMS)},
    **{
        f"VOUCH_{service}_{name.upper()}": (_server_tls(name), SecurityError)
        for service in ("ML", "AGENT") for name in ("tls_certificate", "tls_key", "tls_client_ca")
    },
    **{
        f"{settings.prefix}{before.upper()}{name.upper()}": (_client_tls(settings, before, name), SecurityError)
        for settings, before in ((AgentSettings, "scorer_"), (HttpSettings, ""), (ConsoleSettings, ""))
        for name in ("tls_ca", "tls_certificate", "tls_key")
    },
    **{
        f"VOUCH_EDGE_{name.upper()}": (_edge(name), SecurityError)
        for name in ("tls_certificate", "tls_key", "services_tls_ca", "services_tls_certificate", "services_tls_key")
    },
}  # fmt: skip
"""How production code reads each, and how it refuses what it cannot use."""
ONLY_COMMANDS = {"VOUCH_CLIENT_TLS_CA", "VOUCH_CLIENT_TLS_CERTIFICATE", "VOUCH_CLIENT_TLS_KEY"}
"""Read by a command that a person waits for, through the same helper."""
EMPTY_IS_VALID = {
    "VOUCH_ML_API_KEYS",
    "VOUCH_AGENT_API_KEYS",
    "VOUCH_HTTP_API_KEYS",
    "VOUCH_AGENT_POLICY",
    "a list of a policy",
    "VOUCH_CONSOLE_SIGNED_OUT_FILE",
}
"""At the start: no key lets nobody in, an empty policy changes nothing, an empty list holds nobody."""


def _settings() -> Iterator[type[Settings]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if re.search(r"^class \w+\(\w*Settings\)", path.read_text(), re.MULTILINE):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    waiting = [Settings]
    while waiting:
        one = waiting.pop()
        waiting += one.__subclasses__()
        if one not in BASES and one.__module__.split(".")[0] in PACKAGES:
            yield one


def test_every_setting_of_a_file_has_a_row() -> None:
    """A new setting with a path is tried with hostile files too."""
    found = {
        settings.variables()[name]
        for settings in _settings()
        for name, field in settings.model_fields.items()
        if "Path" in str(field.annotation)
    }
    assert sorted(found - ROWS.keys() - ONLY_COMMANDS) == []
    assert sorted(name for name in ROWS.keys() - found if name.startswith("VOUCH_")) == []


@pytest.fixture(scope="module")
def models(small_models: Path) -> Path:
    """A model that can be used, and that is copied quickly."""
    return small_models / "tables"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates that can be used."""
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


def in_time(read: Callable[[], object]) -> object:
    """What a call gives or raises; that it hangs is a failure, with a thread that nobody waits for."""
    outcome: list[object] = []

    def run() -> None:
        try:
            outcome.append(read())
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive(), "it hangs"
    return outcome[0]


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_at_the_start(
    kind: str, models: Path, certificates: Certificates, tmp_path: Path
) -> None:
    """Each setting's own error, naming the file, without waiting and without reading what has no end."""
    wrong = dict[str, object]()
    for number, (name, (read, refusal)) in enumerate(ROWS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "hostile"
        HOSTILE[kind](path)
        outcome = in_time(lambda read=read, path=path, folder=folder: read(path, Good(folder, models, certificates)))  # type: ignore[misc]
        valid = (kind == "empty" and name in EMPTY_IS_VALID) or (kind, name) == (
            "dangling link", "VOUCH_CONSOLE_SIGNED_OUT_FILE",  # it is made where it is missing
        )  # fmt: skip
        if isinstance(outcome, Exception) != (not valid) or not (valid or isinstance(outcome, refusal)):
            wrong[name] = outcome
        elif not valid and str(folder) not in str(outcome):
            wrong[name] = f"does not name the file: {outcome}"
    assert not wrong


# -- while serving


class Keys:
    """A server's keys."""

    def __init__(self, folder: Path, good: Good) -> None:
        self.path, self._key = folder / "keys", new_key()
        self.path.write_text(f"shop:{digest(self._key)}:shop\n")
        self._keys = ApiKeys(self.path)

    def look(self) -> None:
        """Look for changes, as a thread does twice a second."""
        self._keys.look()

    def works(self) -> bool:
        """Whether the key is known."""
        return self._keys.holder_of(self._key) is not None


class ListOfPolicy:
    """A list of a policy."""

    def __init__(self, folder: Path, good: Good) -> None:
        self.path = folder / "blocked.txt"
        self.path.write_text("u-1\n")
        (folder / "policy.yaml").write_text("lists: {blocked: {file: blocked.txt}}\n")
        self._policy = WatchedPolicy(folder / "policy.yaml", DEFAULTS)
        self._digest = self._policy.policy.digest

    def look(self) -> None:
        """Look for changes, as the agent does every second."""
        self._policy.look()

    def works(self) -> bool:
        """Whether the list is what it was."""
        return self._policy.policy.digest == self._digest


class PolicyFile(ListOfPolicy):
    """The policy itself."""

    def __init__(self, folder: Path, good: Good) -> None:
        super().__init__(folder, good)
        self.path = folder / "policy.yaml"


class ServerCertificate:
    """The certificate of a server."""

    def __init__(self, folder: Path, good: Good) -> None:
        certificate, key = good.certificates.pair
        self.path = folder / "cert.pem"
        shutil.copy(certificate, self.path)
        self._replaced, self._taken = Replaced(ServerFiles(self.path, key)), list[object]()

    def look(self) -> None:
        """Look for changes, as gRPC does for each connection."""
        self._taken.append(self._replaced())

    def works(self) -> bool:
        """Whether none was taken but those that can be used."""
        return self._replaced.first is not None and all(one is None for one in self._taken[:2])


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("what", [Keys, ListOfPolicy, PolicyFile, ServerCertificate])
def test_hostile_files_change_nothing_while_serving(
    what: Any, kind: str, models: Path, certificates: Certificates, tmp_path: Path
) -> None:
    """What was read last stays in force, and the file that is put back later is read again."""
    one = what(tmp_path, Good(tmp_path, models, certificates))
    content = one.path.read_bytes()
    one.path.unlink()
    HOSTILE[kind](one.path)
    assert in_time(one.look) is None
    assert in_time(one.look) is None
    assert one.works() or (kind == "empty" and what in (ListOfPolicy, PolicyFile))
    one.path.rmdir() if kind == "folder" else one.path.unlink()
    one.path.write_bytes(content)
    assert in_time(one.look) is None
    assert one.works()


def test_an_emptied_file_of_keys_revokes_only_on_purpose(tmp_path: Path) -> None:
    """A file without keys keeps the last ones; `vouch keys remove` of the last key takes it away."""
    from runtime.keys_command import main

    path = tmp_path / "keys"
    assert main(["--file", str(path), "add", "shop"]) == 0
    text = path.read_text()
    keys = ApiKeys(path)
    for nothing in ("", "\n", "# nothing\n", text[:20]):
        path.write_text(nothing)
        keys.look()
        assert list(keys._keys) == ["shop"]
    path.write_text(text)
    assert main(["--file", str(path), "remove", "shop"]) == 0
    keys.look()
    assert list(keys._keys) == []
    assert main(["--file", str(path), "add", "again"]) == 0
    keys.look()
    assert list(keys._keys) == ["again"]


def test_a_change_while_keys_are_read_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that change between the look at the file and its reading, at the start too, are read the next time."""
    path, read = tmp_path / "keys", read_file
    path.write_text(f"old:{'0' * 64}:shop\n")

    def changing(file: Path, most: int) -> bytes:
        content = read(file, most)
        monkeypatch.setattr("runtime.access.keys.read_file", read)
        path.write_text(f"newer:{'1' * 64}:shop\n")
        return content

    monkeypatch.setattr("runtime.access.keys.read_file", changing)
    keys = ApiKeys(path)
    keys.look()
    assert list(keys._keys) == ["newer"]


def test_the_limit_holds_for_files_without_a_size(tmp_path: Path) -> None:
    """A file that tells no size, as those of /proc, is read up to the limit and not further."""
    assert len(read_file(Path("/proc/self/status"), 1 << 20)) > 100
    with pytest.raises(UnusableFile, match="larger than 1 KiB"):
        read_file(Path("/proc/self/smaps"), 1 << 10)
    path = tmp_path / "signing"
    make_key(path)
    assert read_file(path, 1 << 16) == path.read_bytes()
