"""Edge limits: requests per key and address, connections, memory, and timeouts for requests. Pure."""

from collections.abc import Sequence
from typing import Any, Final

from runtime.web.settings import WebSettings
from stack.settings import EdgeSettings

Config = dict[str, Any]
_TYPE: Final = "type.googleapis.com/envoy.extensions"
_NAME: Final = "envoy.filters.http.local_ratelimit"
_HEAP: Final = "envoy.resource_monitors.fixed_heap"
_LARGE_STREAM: Final = 18
"""Power of two: streams that buffer 256 KiB may be reset when memory is short; most orders have 1 KiB."""
_V6_PREFIX: Final = 64
"""Prefix bits of an IPv6 network: one caller owns all addresses of a network."""


def bound_connections(config: Config, settings: EdgeSettings, web: WebSettings) -> None:
    """Set timeouts for idle and slow connections, and limit connections and memory. Changes the configuration."""
    listener = config["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    set_timeouts(manager, web, settings.idle_seconds)
    listener["filter_chains"][0]["transport_socket_connect_timeout"] = seconds(web.header_seconds)
    config["overload_manager"] = {
        "refresh_interval": "0.1s",
        "resource_monitors": [
            {
                "name": "envoy.resource_monitors.global_downstream_max_connections",
                "typed_config": {
                    "@type": f"{_TYPE}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": settings.max_connections,
                },
            },
            {
                "name": _HEAP,
                "typed_config": {
                    "@type": f"{_TYPE}.resource_monitors.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": settings.max_memory_mib << 20,
                },
            },
        ],
        "actions": [
            {
                # Streams that hold most memory are reset first; requests of normal size continue.
                "name": "envoy.overload_actions.reset_high_memory_stream",
                "triggers": [{"name": _HEAP, "scaled": {"scaling_threshold": 0.5, "saturation_threshold": 0.8}}],
            },
            _above("envoy.overload_actions.shrink_heap", 0.5),
            _above("envoy.overload_actions.stop_accepting_requests", 0.95),
        ],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": _LARGE_STREAM},
    }


def _above(action: str, share: float) -> Config:
    """Return an overload action that is active above this share of memory use."""
    return {"name": action, "triggers": [{"name": _HEAP, "threshold": {"value": share}}]}


def set_timeouts(manager: Config, web: WebSettings, idle_seconds: float) -> None:
    """Apply the timeouts of the settings to an HTTP connection manager. Changes it."""
    manager["common_http_protocol_options"] = manager.get("common_http_protocol_options", {}) | {
        "idle_timeout": seconds(idle_seconds)
    }
    manager["request_headers_timeout"] = seconds(web.header_seconds)
    manager["request_timeout"] = seconds(web.body_seconds)


def seconds(value: float) -> str:
    """Return a duration in the JSON format of protobuf."""
    return f"{value:.3f}s"


def limit_rates(filters: list[Config], host: Config, settings: EdgeSettings) -> None:
    """Limit requests per second of each key and of each address, with bursts of twice that. Changes the configuration.

    The edge does not know which keys are valid. So each request also counts for its address, and a new key for each
    request does not raise the limit.
    """
    by_address = settings.rate_limit if settings.address_rate_limit is None else settings.address_rate_limit
    if not (settings.rate_limit or by_address):
        return
    position = next(number for number, each in enumerate(filters) if each["name"] == "vouch.edge")
    typed = {"@type": f"{_TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "edge_rate"}
    filters.insert(position + 1, {"name": _NAME, "typed_config": typed})
    total = 10_000 * max(settings.rate_limit, by_address)
    actions: list[Config] = []
    descriptors: list[Config] = []
    if settings.rate_limit:
        for header, key in (("x-api-key", "key"), ("authorization", "bearer")):
            actions.append({"actions": [{"request_headers": {"header_name": header, "descriptor_key": key}}]})
            descriptors.append({"entries": [{"key": key}], "token_bucket": _bucket(settings.rate_limit)})
    if by_address:
        address = {"masked_remote_address": {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": _V6_PREFIX}}
        actions.append({"actions": [address]})
        descriptors.append({"entries": [{"key": "masked_remote_address"}], "token_bucket": _bucket(by_address)})
    host["typed_per_filter_config"] = host.get("typed_per_filter_config", {}) | {
        _NAME: _limits(actions, descriptors, _bucket(total))
    }


def _limits(actions: Sequence[Config], descriptors: Sequence[Config], bucket: Config) -> Config:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return {
        "@type": f"{_TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit",
        "stat_prefix": "edge_rate",
        "token_bucket": bucket,
        "filter_enabled": always,
        "filter_enforced": always,
        "max_dynamic_descriptors": 10_000,
        "rate_limits": actions,
        "descriptors": descriptors,
        "response_headers_to_add": [{"header": {"key": "retry-after", "value": "1"}}],
        "rate_limited_as_resource_exhausted": True,
    }


def _bucket(per_second: int) -> Config:
    return {"max_tokens": 2 * per_second, "tokens_per_fill": per_second, "fill_interval": "1s"}
