"""How to call: what may be asked twice, how often, and how long an answer is waited for."""

import json

DEADLINE_SECONDS = 5.0
"""For a call that names no time of its own."""
LARGEST_ANSWER = 32 << 20
"""Bytes of an answer at most, as the services send them; gRPC's own limit is 4 MiB."""
_SCORING = (
    {"service": "vouch.v1.ScoringService"},
    {"service": "vouch.v1.AgentService"},
    {"service": "vouch.v1.OutcomeService"},
)


def service_config(deadline: float = DEADLINE_SECONDS) -> str:
    """The policy as gRPC reads it. Cases are not among what is retried: to claim one twice is not to claim it once."""
    retried = {
        "name": list(_SCORING),
        "timeout": f"{deadline:g}s",
        "retryPolicy": {
            "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"],
        },
    }  # fmt: skip
    others = {"name": [{"service": "vouch.v1.CaseService"}], "timeout": f"{deadline:g}s"}
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [retried, others]})


def options(deadline: float = DEADLINE_SECONDS) -> list[tuple[str, object]]:
    """Options of a channel: a server that comes back is found within a second."""
    return [
        ("grpc.service_config", service_config(deadline)),
        ("grpc.max_receive_message_length", LARGEST_ANSWER),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 30_000),
    ]
