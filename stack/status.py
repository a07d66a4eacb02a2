"""`vouch status`: what runs where, in which version, and whether it is healthy."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from runtime.process.commands import command
from runtime.process.terminal import escape_unprintable
from stack.ports import read_ports
from stack.settings import EdgeSettings

_TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True)
class ServiceStatus:
    """One service: where it is, its health, and what it says about itself."""

    service: str
    url: str
    health: str
    """`healthy`, `degraded`, ... as the service says; `unavailable` where it does not answer."""
    version: str = ""
    details: str = ""


def _get(url: str) -> dict[str, Any]:
    """Return a JSON object; empty where there is none."""
    try:
        # Health needs no secret, and the edge may have a certificate of its own.
        answer = httpx.get(url, timeout=_TIMEOUT_SECONDS, verify=False)  # noqa: S501
        found = answer.json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def check(ports: Mapping[str, int], *, secure: bool, host: str = "127.0.0.1") -> list[ServiceStatus]:
    """Return the status of each service of `vouch up`."""
    scorer, agent = f"http://{host}:{ports['bridge_ml']}", f"http://{host}:{ports['bridge_agent']}"
    edge = f"{'https' if secure else 'http'}://{host}:{ports['envoy']}"
    model, policy = _get(f"{scorer}/api/v1/model/info"), _get(f"{agent}/api/v1/agent/info")
    found = [
        _status(
            "scorer", scorer, "/api/v1/health", f"model {model['model_version']}" if "model_version" in model else ""
        ),
        _status(
            "agent",
            agent,
            "/api/v1/health",
            f"policy {policy['policy_version']}" if policy.get("policy_version") else "",
        ),
        _status("edge", edge, "/api/v1/health"),
    ]
    if "console" in ports:
        found.append(_status("console", f"http://{host}:{ports['console']}", "/console/health"))
    return found


def _status(service: str, url: str, path: str, details: str = "") -> ServiceStatus:
    answer = _get(url + path)
    health = str(answer.get("status", "unavailable"))
    return ServiceStatus(service, url, health, str(answer.get("version", "")), details if answer else "")


def parser() -> argparse.ArgumentParser:
    """Return the parser of `vouch status`."""
    result = argparse.ArgumentParser(
        prog="vouch status",
        description="Show what runs where on this machine, in which version, and whether it is healthy.",
        epilog="exit code: 0 if all services are healthy, 1 otherwise. example: vouch status --json",
    )
    result.add_argument("--json", action="store_true", help="as JSON")
    return result


@command("vouch status")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 if all services are healthy, 1 if one is not, 2 if it could not run."""
    options = parser().parse_args(arguments)
    found = check(read_ports(), secure=EdgeSettings.read().tls_certificate is not None)
    if options.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            print(
                escape_unprintable(
                    f"{one.service:8} {one.health:12} {one.version:8} {one.url:28} {one.details}".rstrip()
                )
            )
    return 0 if all(one.health == "healthy" for one in found) else 1
