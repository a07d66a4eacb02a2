"""Have Envoy check its configuration with each setting of the edge alone, with all together, and with all but one."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import trustme

RUN = [sys.executable, str(Path(__file__).with_name("run.py")), "--check"]
PARTS: Mapping[str, Mapping[str, str]] = {
    "scorers": {"SCORERS": "127.0.0.1:50051,scorers.example:50051"},
    "agents": {"AGENTS": "agents.example:50052"},
    "bridges": {"BRIDGES_ML": "[::1]:8000", "BRIDGES_AGENT": "bridges.example:8001"},
    "workers": {"WORKERS": "4"},
    "rate limit": {"RATE_LIMIT": "50"},
    "origins": {"ORIGINS": "https://shop.example,http://localhost:5173"},
    "access log": {"ACCESS_LOG": "true"},
    "admin": {"ADMIN_PORT": "9901"},
    "TLS": {"ADDRESS": "192.0.2.1", "TLS_CERTIFICATE": "cert.pem", "TLS_KEY": "key.pem"},
    "mutual TLS": {
        "SERVICES_TLS_CA": "ca.pem", "SERVICES_TLS_CERTIFICATE": "cert.pem", "SERVICES_TLS_KEY": "key.pem"
    },
}  # fmt: skip


def combinations() -> Iterator[tuple[str, dict[str, str]]]:
    """Names and settings: none, each part, all of them, and all without one."""
    everything = {name: value for part in PARTS.values() for name, value in part.items()}
    yield "none", {}
    yield "all", everything
    yield "TLS of services", {"SERVICES_TLS_CA": "ca.pem"}
    for name, part in PARTS.items():
        yield name, dict(part)
        yield f"all without {name}", {key: value for key, value in everything.items() if key not in part}


def checked(folder: str, settings: Mapping[str, str]) -> str:
    """What is wrong with these settings; nothing where Envoy takes them."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("VOUCH_")}
    told = {f"VOUCH_EDGE_{name}": value for name, value in settings.items()}
    done = subprocess.run(RUN, cwd=folder, env=clean | told, capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr


def main() -> int:
    """Check all; return the exit code: 0 all are well, 1 some are not."""
    with tempfile.TemporaryDirectory(prefix="vouch-edge-") as folder, ThreadPoolExecutor() as pool:
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(f"{folder}/ca.pem")
        issued.private_key_pem.write_to_path(f"{folder}/key.pem")
        issued.cert_chain_pems[0].write_to_path(f"{folder}/cert.pem")
        names, settings = zip(*combinations(), strict=True)
        found = list(pool.map(lambda each: checked(folder, each), settings))
    for name, problem in zip(names, found, strict=True):
        if problem:
            print(f"edge, {name}: {problem}", file=sys.stderr)
    print(f"edge: Envoy takes {found.count('')} of {len(found)} combinations of settings")
    return 0 if not any(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
