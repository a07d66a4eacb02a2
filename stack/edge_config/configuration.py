"""Edge configuration for production: replicas, limits, access log, CORS. Pure.

Each function takes the configuration of `envoy.yaml` and applies settings to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from runtime.web.settings import WebSettings
from stack.edge_config.access import route_privacy, set_host_rule
from stack.edge_config.limits import bound_connections, limit_rates
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
"""Timeout per replica before another one is tried; only for idempotent calls."""
SECURITY_HEADERS: Final = {
    "x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "strict-transport-security": "max-age=31536000",
}  # fmt: skip
_LOGGED: Final = {
    "time": "%START_TIME%", "request_id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%", "status": "%RESPONSE_CODE%", "grpc_status": "%GRPC_STATUS%", "flags": "%RESPONSE_FLAGS%",
    "milliseconds": "%DURATION%", "bytes_in": "%BYTES_RECEIVED%", "bytes_out": "%BYTES_SENT%",
}  # fmt: skip
"""Access log fields: no path, which contains ids, no caller address, and no header except the request id."""


def apply_settings(config: Config, settings: EdgeSettings, web: WebSettings = DEFAULTS) -> Config:
    """Apply settings to a configuration in place; return it."""
    set_host_rule(config, settings, web)
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
        _scale_limits(cluster, max(1, len(settings.targets(service))) * settings.workers)
    if settings.trusted_proxies:
        manager["xff_num_trusted_hops"] = settings.trusted_proxies
    if settings.access_log:
        manager["access_log"] = [_access_log()]
    host = manager["route_config"]["virtual_hosts"][0]
    for route in host["routes"]:
        replicated = len(settings.targets(route.get("route", {}).get("cluster", ""))) > 1
        if replicated and "retry_policy" in route["route"]:
            # Requests to a hanging replica time out and go to another one; three timeouts eject the replica.
            route["route"]["retry_policy"] = route["route"]["retry_policy"] | {"per_try_timeout": PER_TRY}
    if settings.tls_certificate is not None:
        host["response_headers_to_add"] = [
            {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for name, value in SECURITY_HEADERS.items()
        ]
    filters = manager["http_filters"]
    limit_rates(filters, host, settings)
    if settings.origins:
        # First in the chain, to answer preflight requests; and again before the router, where the route of transcoded JSON
        # is known.
        filters.insert(0, _cors())
        filters.insert(len(filters) - 1, _cors())
        _allow_origins(host, settings.origins)
    return config


def _replicate(cluster: Config, service: str, targets: Sequence[str]) -> None:
    """Set the addresses of a cluster; a DNS name may resolve to many, as for a headless service.

    A failing or hanging replica is excluded: by health checks within three seconds, and after three errors or timeouts.
    """
    cluster["type"], cluster["lb_policy"] = "STRICT_DNS", "LEAST_REQUEST"
    addresses = [target.rpartition(":") for target in targets]
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}}}
        for host, _, port in addresses
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
        bounds["max_retries"] = 1024  # all requests that a replica held when it died
    cluster["outlier_detection"] = {
        "consecutive_gateway_failure": 3, "enforcing_consecutive_gateway_failure": 100, "interval": "1s",
        "base_ejection_time": "2s", "max_ejection_percent": 50,
    }  # fmt: skip


def _scale_limits(cluster: Config, times: int) -> None:
    """Multiply the request limits of a cluster by the number of processes behind it."""
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


def _allow_origins(host: Config, origins: Sequence[str]) -> None:
    """Allow pages of these origins to call by gRPC-Web and JSON with their own key, without cookies."""
    # The CORS filter answers preflight requests only on routes with a cluster; the cluster never receives them.
    preflight = [
        {"name": ":method", "string_match": {"exact": "OPTIONS"}},
        {"name": "access-control-request-method", "present_match": True},
    ]
    host["routes"].insert(0, {"match": {"prefix": "/v1/", "headers": preflight}, "route": {"cluster": "agent"}})
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
