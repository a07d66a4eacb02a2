"""Channels to the services: load balancing, retries, reconnection."""

import json
from collections.abc import Sequence
from typing import Any

import grpc

from runtime.access.loopback import is_loopback_target
from runtime.access.tls import ClientTls
from runtime.telemetry.logging import get_logger

RETRYABLE_SERVICES = ("vouch.v1.ScoringService", "vouch.v1.AgentService", "vouch.v1.OutcomeService")
"""Services with idempotent calls: scoring changes nothing; a repeated review or report returns the recorded response."""

MAX_RESPONSE_BYTES = 32 << 20
"""Response size limit of servers and clients. The default of gRPC clients is 4 MiB."""
ATTEMPTS = 5
"""Attempts before UNAVAILABLE is returned: about three quarters of a second in total."""


def service_config(health_service: str = "", attempts: int = ATTEMPTS) -> str:
    """Return gRPC's service config: round robin over all addresses, and retries on UNAVAILABLE.

    With `health_service`, a server that reports NOT_SERVING for that service gets no new calls, so that it can drain.
    """
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": service} for service in RETRYABLE_SERVICES],
                "retryPolicy": {
                    "maxAttempts": attempts,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }
    if health_service:
        config["healthCheckConfig"] = {"serviceName": health_service}
    return json.dumps(config)


def options(health_service: str = "", attempts: int = ATTEMPTS) -> Sequence[tuple[str, Any]]:
    """Return channel options. Reconnects within a second, instead of after gRPC's growing backoff."""
    return (
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.service_config", service_config(health_service, attempts)),
    )


def open_channel(
    target: str,
    tls: ClientTls | None = None,
    health_service: str = "",
    attempts: int = ATTEMPTS,
    *,
    own_connection: bool = False,
) -> grpc.aio.Channel:
    """Return a channel to a service. Raise SecurityError if certificates cannot be read.

    Channels with the same options share connections, except those with `own_connection`.
    """
    channel_options = [*options(health_service, attempts), ("grpc.use_local_subchannel_pool", int(own_connection))]
    if tls is None:
        if not is_loopback_target(target):
            get_logger().warning("calls and keys are sent to another machine without TLS", target=target)
        return grpc.aio.insecure_channel(target, options=channel_options)
    return grpc.aio.secure_channel(target, tls.credentials(), options=channel_options)
