"""Channels to our services: where they lead, what they retry, how soon they find a server that came back."""

import json
from collections.abc import Sequence
from typing import Any

import grpc

from runtime.access.loopback import is_loopback_target
from runtime.access.tls import ClientTls
from runtime.telemetry.logging import get_logger

RETRIED = ("vouch.v1.ScoringService", "vouch.v1.AgentService", "vouch.v1.OutcomeService")
"""Services that may be asked twice: scoring changes nothing; a repeated review or report gets the recorded answer."""

LARGEST_ANSWER = 32 << 20
"""Bytes of an answer at most: what our servers send, and what our clients take. gRPC's clients take 4 MiB by default."""
ATTEMPTS = 5
"""Calls until one that finds nobody fails: about three quarters of a second."""


def service_config(health_service: str = "", attempts: int = ATTEMPTS) -> str:
    """The client policy as gRPC's service config: spread over all addresses, and ask again where a server went away.

    With `health_service`, a server that says NOT_SERVING for that service gets no more calls: it may drain in peace.
    """
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            {
                "name": [{"service": service} for service in RETRIED],
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
    """Options of a channel. A server that comes back is found within a second, not after gRPC's growing pauses."""
    return (
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.max_receive_message_length", LARGEST_ANSWER),
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
    """A channel to a service. Raises SecurityError where certificates cannot be read.

    Channels with the same options share their connections, but for those with `own_connection`.
    """
    told = [*options(health_service, attempts), ("grpc.use_local_subchannel_pool", int(own_connection))]
    if tls is None:
        if not is_loopback_target(target):
            get_logger().warning("calls to another machine, and their keys, are sent without TLS", target=target)
        return grpc.aio.insecure_channel(target, options=told)
    return grpc.aio.secure_channel(target, tls.credentials(), options=told)
