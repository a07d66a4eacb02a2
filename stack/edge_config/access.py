"""Access rules of the edge: allowed hosts, routes of PrivacyService and of streams, the metrics port. Pure."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from runtime.web.settings import WebSettings
from stack.edge_config.limits import set_timeouts
from stack.settings import EdgeSettings

Config = dict[str, Any]
EDGE_FILTER: Final = "vouch.edge"
"""Name of the filter that runs edge.lua."""
METRICS_PATHS: Final = ("/stats/prometheus", "/stats", "/ready", "/clusters")
"""Pages of Envoy's admin interface on the metrics port. Others could stop Envoy or expose its configuration."""
_TYPE: Final = "type.googleapis.com/envoy.extensions.filters"
_PRIVACY: Final = "vouch.v1.PrivacyService"
_STREAM: Final = "/vouch.v1.CaseService/ExportLabels"
"""Template for the routes of record streams."""


def set_host_rule(config: Config, settings: EdgeSettings, web: WebSettings) -> None:
    """Pass the allowed hosts to edge.lua; services with keys need no Host rule. Changes the configuration."""
    context = {"check_host": not settings.services_have_keys, "hosts": list(web.allowed_hosts)}
    for host in _manager(config)["route_config"]["virtual_hosts"]:
        host["typed_per_filter_config"] = host.get("typed_per_filter_config", {}) | _context(context)


def route_privacy(config: Config) -> None:
    """Route PrivacyService: as gRPC, and as canonical JSON. Changes the configuration."""
    manager = _manager(config)
    for each in manager["http_filters"]:
        if "services" in each["typed_config"]:
            each["typed_config"]["services"].append(_PRIVACY)
    routes = manager["route_config"]["virtual_hosts"][0]["routes"]
    position, stream = next(
        (number, each) for number, each in enumerate(routes) if each["match"].get("path") == _STREAM
    )
    single = next(each for each in routes if each["match"].get("prefix") == "/vouch.v1.OutcomeService/")
    routes[position:position] = [
        stream | {"match": {"path": f"/{_PRIVACY}/ExportPerson"}},
        single | {"match": {"prefix": f"/{_PRIVACY}/"}},
    ]
    for names, method in (("find|export|erase|expire", "POST"), ("progress", "GET")):
        not_allowed = {
            "match": {"safe_regex": {"regex": f"/v1/privacy:({names})"}},
            "direct_response": {"status": 405},
            "response_headers_to_add": [{"header": {"key": "allow", "value": method}}],
        }
        routes.insert(len(routes) - 1, not_allowed)


def streams(services: Iterable[ServiceDescriptor]) -> Iterator[MethodDescriptor]:
    """Yield the server-streaming RPCs of the contract."""
    for service in services:
        yield from (method for method in service.methods if method.server_streaming)


def misrouted_streams(config: Config, services: Iterable[ServiceDescriptor]) -> list[str]:
    """Return the paths of streams without their own route, with a timeout, or in a cluster of unary calls."""
    routes = _manager(config)["route_config"]["virtual_hosts"][0]["routes"]
    paths = [f"/{method.containing_service.full_name}/{method.name}" for method in streams(services)]
    exact = {each["match"]["path"]: each["route"] for each in routes if {"path"} == each["match"].keys()}
    endless = {path: route for path, route in exact.items() if route.get("timeout") == "0s"}
    bounded = {each["route"]["cluster"] for each in routes if each.get("route", {}).get("timeout", "0s") != "0s"}
    bounded |= {each["route"]["cluster"] for each in routes if "prefix" in each["match"] and "route" in each}
    bounded |= {
        route["cluster"]
        for path, route in exact.items()
        if "max_stream_duration" in route.get("max_stream_duration", {})
    }
    return [path for path in paths if path not in endless or endless[path]["cluster"] in bounded]


def add_metrics_listener(config: Config, settings: EdgeSettings, web: WebSettings, pipe: Path) -> None:
    """Put Envoy's admin interface on a private socket, some pages on the metrics port. Changes the configuration."""
    config["admin"] = {"address": {"pipe": {"path": str(pipe), "mode": 0o600}}}
    edge = _manager(config)
    lua = next(each for each in edge["http_filters"] if each["name"] == EDGE_FILTER)
    routes = [
        {"match": {"path": path, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
         "route": {"cluster": "admin", "timeout": "15s"}}
        for path in METRICS_PATHS
    ]  # fmt: skip
    host: Config = {
        "name": "metrics",
        "domains": ["*"],
        "routes": [*routes, {"match": {"prefix": "/"}, "direct_response": {"status": 404}}],
    }
    host["typed_per_filter_config"] = _context(
        {"check_host": True, "hosts": list(web.allowed_hosts), "only_host": True}
    )
    manager = {
        "@type": edge["@type"],
        "stat_prefix": "metrics",
        "codec_type": "HTTP1",
        "route_config": {"name": "metrics", "virtual_hosts": [host]},
        "http_filters": [lua, edge["http_filters"][-1]],
    }
    set_timeouts(manager, web, web.idle_seconds)
    name = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["name"]
    config["static_resources"]["listeners"].append(
        {
            "name": "metrics",
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": settings.admin_port}},
            "enable_reuse_port": False,
            "filter_chains": [{"filters": [{"name": name, "typed_config": manager}]}],
        }
    )
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(pipe)}}}}
    config["static_resources"]["clusters"].append(
        {
            "name": "admin",
            "type": "STATIC",
            "connect_timeout": "1s",
            "load_assignment": {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
    )


def _context(context: Config) -> Config:
    return {EDGE_FILTER: {"@type": f"{_TYPE}.http.lua.v3.LuaPerRoute", "filter_context": context}}


def _manager(config: Config) -> Config:
    manager: Config = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
    return manager
