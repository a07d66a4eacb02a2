"""Files named by settings: anything but a regular file of sensible size is refused at the start."""

import asyncio
import importlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent_server.audit.signing import Signing
from agent_server.data_files import WatchedDataFiles
from agent_server.feedback.golden_cases import read_golden
from agent_server.ledger import LedgerError
from agent_server.policies.current import current_policy
from agent_server.policies.yaml_reader import PolicyError
from agent_server.settings import AgentSettings
from console.settings import ConsoleSettings
from console.signed_out import SignedOutSessions
from enrichment.errors import DataFileError
from enrichment.rate_files import RatesError, read_money
from http_bridge.middleware.access import AccessMiddleware
from http_bridge.settings import HttpSettings
from ml_server.registry.bundle import SERVED, ArtifactError
from ml_server.registry.store import CURRENT, SUMS
from ml_server.serving.model_updates import load_checked
from ml_server.settings import MlSettings
from runtime.access import SecurityError
from runtime.access.tls import ServerFiles, UpstreamTlsSettings, server_credentials
from runtime.rpc.server import Server
from runtime.settings import ServerSettings, Settings
from stack.edge_config.secrets import apply_tls
from stack.settings import EdgeSettings
from testing.servers.certificates import Certificates
from testing.servers.processes import ROOT
from tests.runtime.hostile_files import DEFAULTS, HOSTILE, ValidFiles, run_with_timeout

BASES = {Settings, ServerSettings, UpstreamTlsSettings}
"""Base classes, which are only inherited from."""
PACKAGES = ("agent_server", "ml_server", "http_bridge", "console", "stack", "load_test", "conformance", "runtime")
Read = Callable[[Path, ValidFiles], object]


def _server(settings: type[ServerSettings], **given: Any) -> object:
    async def made() -> object:
        return Server(settings.read(metrics_listen="", **given), {}, roles={}, handle_signals=False)

    return asyncio.run(made())


def _server_tls(name: str) -> Read:
    def read(path: Path, valid_files: ValidFiles) -> object:
        certificate, key = valid_files.certificates.pair
        files = {"tls_certificate": certificate, "tls_key": key, "tls_client_ca": valid_files.certificates.ca} | {
            name: path
        }
        return server_credentials(ServerFiles(*files.values()))

    return read


def _client_tls(settings: type[Settings], prefix: str, name: str) -> Read:
    def read(path: Path, valid_files: ValidFiles) -> object:
        certificate, key = valid_files.certificates.pair
        files = {"tls_ca": valid_files.certificates.ca, "tls_certificate": certificate, "tls_key": key} | {name: path}
        found = settings.read(**{f"{prefix}{name}": file for name, file in files.items()})
        return getattr(found, f"{prefix}tls").credentials()

    return read


def _edge(name: str) -> Read:
    def read(path: Path, valid_files: ValidFiles) -> object:
        certificate, key = valid_files.certificates.pair
        files = {
            "tls_certificate": certificate, "tls_key": key, "services_tls_ca": valid_files.certificates.ca,
            "services_tls_certificate": certificate, "services_tls_key": key,
        } | {name: path}  # fmt: skip
        config = yaml.safe_load((ROOT / "envoy" / "envoy.yaml").read_text())
        return apply_tls(config, EdgeSettings.read(**files), lambda secret: Path("kept"))

    return read


def _model_file(name: str) -> Read:
    def read(path: Path, valid_files: ValidFiles) -> object:
        models = valid_files.model()
        damaged = models / CURRENT / name
        damaged.unlink()
        shutil.move(path, damaged) if not path.is_symlink() else damaged.symlink_to(os.readlink(path))
        return load_checked(models)

    return read


def _listed(path: Path, valid_files: ValidFiles) -> object:
    policy = path.with_name("policy.yaml")
    policy.write_text(f"lists: {{blocked: {{file: {path.name}}}}}\n")
    return current_policy(policy, DEFAULTS)


def _data_file(variable: str, path: Path, _: ValidFiles) -> object:
    return WatchedDataFiles({variable: path})


ROWS: dict[str, tuple[Read, type[Exception]]] = {
    "VOUCH_ML_API_KEYS": (lambda path, _: _server(MlSettings, api_keys=path), SecurityError),
    "VOUCH_AGENT_API_KEYS": (lambda path, _: _server(AgentSettings, api_keys=path), SecurityError),
    "VOUCH_HTTP_API_KEYS": (
        lambda path, _: AccessMiddleware(None, HttpSettings.read(api_keys=path), lambda *_: None),  # type: ignore[arg-type]
        SecurityError,
    ),
    "VOUCH_CONSOLE_SIGNED_OUT_FILE": (lambda path, _: SignedOutSessions(path), OSError),
    "VOUCH_AGENT_POLICY": (lambda path, _: current_policy(path, DEFAULTS), PolicyError),
    "a list of a policy": (_listed, PolicyError),
    "VOUCH_AGENT_GOLDEN_ORDERS": (lambda path, _: read_golden(path), LedgerError),
    **{
        f"VOUCH_{name}": (partial(_data_file, f"VOUCH_{name}"), DataFileError)
        for name in ("IP_COUNTRY_DB", "IP_ANONYMITY_DB", "CARD_BINS")
    },
    "VOUCH_EXCHANGE_RATES": (lambda path, _: read_money("USD", path), RatesError),
    "VOUCH_AGENT_LEDGER_KEY": (lambda path, _: Signing(path), LedgerError),
    "VOUCH_MODELS_DIR": (lambda path, _: load_checked(path), ArtifactError),
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
"""How production code reads each file, and its error for an unusable one."""
ONLY_COMMANDS = {"VOUCH_CLIENT_TLS_CA", "VOUCH_CLIENT_TLS_CERTIFICATE", "VOUCH_CLIENT_TLS_KEY"}
"""Read by interactive commands, through the same helper."""
EMPTY_IS_VALID = {
    "VOUCH_ML_API_KEYS",
    "VOUCH_AGENT_API_KEYS",
    "VOUCH_HTTP_API_KEYS",
    "VOUCH_AGENT_POLICY",
    "a list of a policy",
    "VOUCH_CONSOLE_SIGNED_OUT_FILE",
}
"""At the start, no key admits nobody, an empty policy changes nothing, and an empty list has nobody."""


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


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_at_the_start(
    kind: str, tables_model: Path, certificates: Certificates, tmp_path: Path
) -> None:
    """Each setting raises its own error, with the file's name, without blocking or reading endlessly."""
    wrong = dict[str, object]()
    for number, (name, (read, refusal)) in enumerate(ROWS.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = folder / "hostile"
        HOSTILE[kind](path)
        valid_files = ValidFiles(folder, tables_model, certificates)
        outcome = run_with_timeout(partial(read, path, valid_files))
        valid = (kind == "empty" and name in EMPTY_IS_VALID) or (kind, name) == (
            "dangling link", "VOUCH_CONSOLE_SIGNED_OUT_FILE",  # it is created if it is missing
        )  # fmt: skip
        if isinstance(outcome, Exception) != (not valid) or not (valid or isinstance(outcome, refusal)):
            wrong[name] = outcome
        elif not valid and str(folder) not in str(outcome):
            wrong[name] = f"does not name the file: {outcome}"
    assert not wrong
