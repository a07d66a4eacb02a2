"""Validate the Envoy configuration with each edge setting alone, with all settings, and with all but one."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trustme
import yaml
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from run import arguments, configuration

from runtime.web.settings import WebSettings
from stack.edge_config.access import misrouted_streams
from stack.settings import EdgeSettings

CONTRACT = Path(__file__).resolve().parent.parent / "generated" / "descriptor_set.binpb"
PARTS: Mapping[str, Mapping[str, str]] = {
    "scorers": {"SCORERS": "127.0.0.1:50051,scorers.example:50051"},
    "agents": {"AGENTS": "agents.example:50052"},
    "bridges": {"BRIDGES_ML": "[::1]:8000", "BRIDGES_AGENT": "bridges.example:8001"},
    "workers": {"WORKERS": "4"},
    "rate limit": {"RATE_LIMIT": "50"},
    "address rate limit": {"ADDRESS_RATE_LIMIT": "500", "TRUSTED_PROXIES": "1"},
    "privacy": {"PRIVACY": "true"},
    "origins": {"ORIGINS": "https://shop.example,http://localhost:5173"},
    "access log": {"ACCESS_LOG": "true"},
    "admin": {"ADMIN_PORT": "9901"},
    "TLS": {"ADDRESS": "192.0.2.1", "SERVICES_HAVE_KEYS": "true", "TLS_CERTIFICATE": "cert.pem", "TLS_KEY": "key.pem"},
    "mutual TLS": {
        "SERVICES_TLS_CA": "ca.pem", "SERVICES_TLS_CERTIFICATE": "cert.pem", "SERVICES_TLS_KEY": "key.pem"
    },
}  # fmt: skip


def combinations() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield names and settings: none, each part, all of them, and all without one."""
    everything = {name: value for part in PARTS.values() for name, value in part.items()}
    yield "none", {}
    yield "all", everything
    yield "TLS of services", {"SERVICES_TLS_CA": "ca.pem"}
    for name, part in PARTS.items():
        yield name, dict(part)
        yield f"all without {name}", {key: value for key, value in everything.items() if key not in part}


def render(folder: str, parts: Mapping[str, str]) -> str:
    """Return the edge configuration with these settings. Raise ValueError if a stream has no route of its own."""
    overrides = {key.lower(): f"{folder}/{value}" if value.endswith(".pem") else value for key, value in parts.items()}
    settings = EdgeSettings.read(**overrides)
    config = configuration({}, settings, WebSettings())
    services = [each for each in contract_services() if settings.privacy or each.name != "PrivacyService"]
    if misrouted := misrouted_streams(yaml.safe_load(config), services):
        raise ValueError(f"{misrouted[0]} needs its own route without a timeout, to a cluster for streams")
    return config


def validation_error(config: str) -> str:
    """Return Envoy's error for a configuration; empty if it is valid."""
    done = subprocess.run(arguments(config, check=True), capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr


def contract_services() -> Iterator[ServiceDescriptor]:
    """Yield the services of the contract."""
    pool, files = DescriptorPool(), FileDescriptorSet.FromString(CONTRACT.read_bytes()).file
    for file in files:
        pool.Add(file)
    for file in files:
        yield from pool.FindFileByName(file.name).services_by_name.values()


def main() -> int:
    """Check all; return the exit code: 0 if all are valid, 1 otherwise."""
    for name in [name for name in os.environ if name.startswith("VOUCH_")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="vouch-edge-") as folder, ThreadPoolExecutor() as pool:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        issued.private_key_pem.write_to_path(f"{folder}/key.pem")
        issued.cert_chain_pems[0].write_to_path(f"{folder}/cert.pem")
        names, settings = zip(*combinations(), strict=True)
        errors = list(pool.map(validation_error, [render(folder, each) for each in settings]))
    for name, text in zip(names, errors, strict=True):
        if text:
            print(f"edge, {name}: {text}", file=sys.stderr)
    print(f"edge: Envoy accepts {errors.count('')} of {len(errors)} combinations of settings")
    return 0 if not any(errors) else 1


if __name__ == "__main__":
    raise SystemExit(main())
