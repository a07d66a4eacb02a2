"""The edge's configuration for production: any number of replicas, limits, logs, pages of named origins. Pure.

Each part takes Envoy's configuration as `envoy.yaml` has it and adds what settings ask for.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runtime.web.settings import WebSettings
from stack.edge_access import check_hosts, route_privacy
from stack.edge_limits import bound_connections, limit_rates
from stack.settings import EdgeSettings

Config = dict[str, Any]
DEFAULTS: Final = WebSettings()
_TYPE: Final = "type.googleapis.com/envoy.extensions"
_HEALTH: Final[Mapping[str, Config]] = {
    "scorer": {"grpc_health_check": {"service_name": "vouch.v1.ScoringService"}},
    "agent": {"grpc_health_check": {"service_name": "vouch.v1.AgentService"}},
    "bridge_ml": {"http_health_check": {"path": "/api/v1/health"}},
    "bridge_agent": {"http_health_check": {"path": "/api/v1/health"}},
}
PER_TRY: Final = "2s"
"""So long one replica may take before another is asked; what may be asked twice only."""
SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "strict-transport-security": "max-age=31536000",
}  # fmt: skip
_LOGGED: Final = {
    "time": "%START_TIME%", "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%", "status": "%RESPONSE_CODE%", "grpc_status": "%GRPC_STATUS%", "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%", "bytes_in": "%BYTES_RECEIVED%", "bytes_out": "%BYTES_SENT%",
}  # fmt: skip
"""No path, which holds ids, no address of a caller, no header but the request's id."""


def apply_settings(config: Config, settings: EdgeSettings, web: WebSettings = DEFAULTS) -> Config:
    """The configuration with all that settings ask for. Changes it."""
    check_hosts(config, settings, web)
    bound_connections(config, settings, web)
    if settings.privacy:
        route_privacy(config)
    listener = config["static_resources"]["listeners"][0]
    listener["address"]["socket_address"]["address"] = settings.address
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    for cluster in config["static_resources"]["clusters"]:
        service = cluster["name"].partition(".")[0]
        if targets := settings.targets(service):
            _replicate(cluster, service, targets)
        _widen(cluster, max(1, len(settings.targets(service))) * settings.workers)
    if settings.trusted_proxies:
        manager["xff_num_trusted_hops"] = settings.trusted_proxies
    if settings.access_log:
        manager["access_log"] = [_access_log()]
    host = manager["route_config"]["virtual_hosts"][0]
    for route in host["routes"]:
        several = len(settings.targets(route.get("route", {}).get("cluster", ""))) > 1
        if several and "retry_policy" in route["route"]:
            # One that hangs keeps what it was given: so another is asked, and three that nobody answered put it aside.
            route["route"]["retry_policy"] = route["route"]["retry_policy"] | {"per_try_timeout": PER_TRY}
    if settings.tls_certificate is not None:
        host["response_headers_to_add"] = [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in SECURITY_HEADERS.items()
        ]
    filters = manager["http_filters"]
    limit_rates(filters, host, settings)
    if settings.origins:
        # In front of all others: a browser's first question is answered here. And behind them, where the route is known that
        # canonical JSON takes once it is gRPC.
        filters.insert(0, _cors())
        filters.insert(len(filters) - 1, _cors())
        _allow(host, settings.origins)
    return config


def _replicate(cluster: Config, service: str, targets: Sequence[str]) -> None:
    """Any number of addresses; a name may stand for many, as that of a headless service does.

    One that fails or hangs is left out: by its health within three seconds, by errors and silence after three of them.
    """
    cluster["type"], cluster["lb_policy"] = "STRICT_DNS", "LEAST_REQUEST"
    places = [target.rpartition(":") for target in targets]
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}}}
        for host, _, port in places
    ]
    cluster["load_assignment"] = {"cluster_name": cluster["name"], "endpoints": [{"lb_endpoints": endpoints}]}
    timing = {
        "timeout": "1.5s",
        "interval": "0.5s",
        "no_traffic_interval": "0.5s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
    }
    cluster["health_checks"] = [timing | _HEALTH[service]] if service in _HEALTH else []
    for bounds in cluster["circuit_breakers"]["thresholds"]:
        bounds["max_retries"] = 1024  # all that one had in its hands when it died
    cluster["outlier_detection"] = {
        "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100, "interval": "1s",
        "base_ejection_time": "2s", "max_ejection_percent": 50,
    }  # fmt: skip


def _widen(cluster: Config, times: int) -> None:
    """As many places as the processes behind have together."""
    for bounds in cluster.get("circuit_breakers", {}).get("thresholds", ()):
        for name in ("max_requests", "max_pending_requests"):
            bounds[name] *= times


def _access_log() -> Config:
    typed = {
        "@type": f"{_TYPE}.access_loggers.stream.v3.StdoutAccessLog",
        "log_format": {"json_format": dict(_LOGGED), "omit_empty_values": True},
    }
    return {"name": "envoy.access_loggers.stdout", "typed_config": typed}


def _cors() -> Config:
    return {"name": "envoy.filters.http.cors", "typed_config": {"@type": f"{_TYPE}.filters.http.cors.v3.Cors"}}


def _allow(host: Config, origins: Sequence[str]) -> None:
    """Let pages of these origins ask by gRPC-Web and JSON, with a key of their own; cookies are not for them."""
    # The filter that answers a browser's first question looks only at routes that lead somewhere; it never gets there.
    asked = [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "access-control-request-method", "present_match": True},
    ]
    host["routes"].insert(0, {"match": {"prefix": "/v1/", "headers": asked}, "route": {"cluster": "agent"}})
    host["typed_per_filter_config"] = host.get("typed_per_filter_config", {}) | {
        "envoy.filters.http.cors": {
            "@type": f"{_TYPE}.filters.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"exact": origin} for origin in origins],
            "allow_methods": "GET, POST",
            "allow_headers": "content-type, x-api-key, authorization, x-grpc-web, x-user-agent, grpc-timeout, x-request-id, "
            "connect-protocol-version, connect-timeout-ms",
            "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin, x-request-id, vouch-replayed",
            "max_age": "3600",
        }
    }
