"""`vouch status`: what runs where, in which version, and whether it is healthy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import httpx

from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.port_base import add_port_base_option, use_port_base
from runtime.process.terminal import escape_unprintable
from stack.ports import health_urls, read_ports
from stack.settings import EdgeSettings

_TIMEOUT_SECONDS = 3.0
_DETAILS: Final = {
    "scorer": ("/api/v1/model/info", "model_version", "model"),
    "agent": ("/api/v1/agent/info", "policy_version", "policy"),
}
"""Where a service names its model or policy: path, field and label."""


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


def check(ports: Mapping[str, int], *, secure: bool) -> list[ServiceStatus]:
    """Return the status of each service of `vouch up` on this machine."""
    return [_status(service, url) for service, url in health_urls(ports, secure=secure).items()]


def _status(service: str, url: str) -> ServiceStatus:
    answer, (base, _, _) = _get(url), url.partition("/api/v1/health")
    health = str(answer.get("status", "unavailable"))
    details = ""
    if answer and service in _DETAILS:
        path, name, label = _DETAILS[service]
        value = _get(base + path).get(name)
        details = f"{label} {value}" if value else ""
    return ServiceStatus(service, base.removesuffix("/console/health"), health, str(answer.get("version", "")), details)


def parser() -> CommandParser:
    """Return the parser of `vouch status`."""
    result = CommandParser(
        prog="vouch status",
        description="Show what runs where on this machine, in which version, and whether it is healthy.",
        examples=("vouch status", "vouch status --port-base 9000 --json"),
        codes={OK: "all services are healthy", NEGATIVE: "a service is not healthy, or does not run"},
    )
    result.add_json_option()
    add_port_base_option(result)
    return result


@command("vouch status")
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    use_port_base(options.port_base)
    found = check(read_ports(), secure=EdgeSettings.read().tls_certificate is not None)
    if options.json:
        print_json([asdict(one) for one in found])
    else:
        for one in found:
            print(
                escape_unprintable(
                    f"{one.service:8} {one.health:12} {one.version:8} {one.url:28} {one.details}".rstrip()
                )
            )
    return OK if all(one.health == "healthy" for one in found) else NEGATIVE
