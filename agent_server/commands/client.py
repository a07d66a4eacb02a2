"""Client of a running agent, for commands: address, API key, and errors."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import grpc
from grpc_status import rpc_status
from pydantic import SecretStr

from runtime.access.loopback import require_encryption
from runtime.access.tls import ClientTls, UpstreamTlsSettings
from runtime.process.command_line import NEGATIVE, NOT_NOW
from runtime.process.terminal import escape_unprintable
from runtime.settings import Target

_SECONDS = 10.0
_STREAMING = ("WatchCases",)
CallMethod = Callable[[str, Any], Any]
"""Calls a method by name. Raises grpc.RpcError."""


class ClientSettings(UpstreamTlsSettings):
    """Settings of commands that call an agent: its address, the API key, and TLS."""

    prefix: ClassVar[str] = "VOUCH_CLIENT_"

    agent: Target = "127.0.0.1:50052"
    api_key: SecretStr | None = None
    insecure: bool = False
    """Whether to send the key to another machine without TLS."""


@contextlib.contextmanager
def open_client(stub: Callable[[grpc.Channel], Any]) -> Iterator[CallMethod]:
    """Open a client of the agent in the settings. Raises SecurityError if it would send the key unencrypted."""
    settings = ClientSettings.read()
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if key and not settings.insecure:
        advice = "set VOUCH_CLIENT_TLS_CA, or VOUCH_CLIENT_INSECURE=true if the network is trusted"
        require_encryption(settings.agent, encrypted=settings.tls is not None, advice=advice)
    with command_channel(settings.agent, settings.tls) as channel:
        methods = stub(channel)

        def call(method: str, request: Any) -> Any:
            seconds = None if method in _STREAMING else _SECONDS
            return getattr(methods, method)(request, timeout=seconds, metadata=(("x-api-key", key),) if key else None)

        yield call


def command_channel(target: str, tls: ClientTls | None) -> grpc.Channel:
    """Return a channel for a command, with TLS if it is set. Raises SecurityError if certificates cannot be read."""
    return grpc.insecure_channel(target) if tls is None else grpc.secure_channel(target, tls.credentials())


_LATER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""What another attempt may change."""


def print_error(command: str, error: Any, unreachable: str = "") -> int:
    """Print the error of a call; return the exit code.

    If the server cannot be reached, print `unreachable`, by default about the agent.
    """
    message = str(error.details())
    if error.code() == grpc.StatusCode.UNAVAILABLE and rpc_status.from_call(error) is None:
        message = unreachable or f"agent at {ClientSettings.read().agent} cannot be reached (VOUCH_CLIENT_AGENT)"
    print(escape_unprintable(f"{command}: {message}"), file=sys.stderr)
    return NOT_NOW if error.code() in _LATER else NEGATIVE
