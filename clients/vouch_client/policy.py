"""Call policy: which calls are retried, how often, and the default timeout."""

import json

DEADLINE_SECONDS = 5.0
"""Timeout of a call that sets none."""
MAX_RESPONSE_BYTES = 32 << 20
"""The services' limit of a response; gRPC's default is 4 MiB."""
_RETRIED = (
    {"service": "vouch.v1.ScoringService"},
    {"service": "vouch.v1.AgentService"},
    {"service": "vouch.v1.OutcomeService"},
)


def service_config(deadline: float = DEADLINE_SECONDS) -> str:
    """Return the policy in gRPC's format. Calls of CaseService are not retried, because claims are not idempotent."""
    retried = {
        "name": list(_RETRIED),
        "timeout": f"{deadline:g}s",
        "retryPolicy": {
            "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }  # fmt: skip
    others = {"name": [{"service": "vouch.v1.CaseService"}], "timeout": f"{deadline:g}s"}
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [retried, others]})


def options(deadline: float = DEADLINE_SECONDS) -> list[tuple[str, object]]:
    """Return the options of a channel. It reconnects to a restarted server within a second."""
    return [
        ("grpc.service_config", service_config(deadline)),
        ("grpc.max_receive_message_length", MAX_RESPONSE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 30_000),
    ]
