"""How commands ask an agent that runs: whom, with which key, and what they say where it refuses."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import grpc
from grpc_status import rpc_status
from pydantic import SecretStr

from runtime.access.loopback import require_encryption
from runtime.access.tls import ClientTls, UpstreamTlsSettings
from runtime.process.terminal import plain
from runtime.settings import Target

_SECONDS = 10.0
_ENDLESS = ("WatchCases",)
Ask = Callable[[str, Any], Any]
"""Calls a method by its name; raises grpc.RpcError."""


class ClientSettings(UpstreamTlsSettings):
    """The agent that commands call, the API key they send, and how they reach it by TLS."""

    prefix: ClassVar[str] = "VOUCH_CLIENT_"

    agent: Target = "127.0.0.1:50052"
    api_key: SecretStr | None = None
    insecure: bool = False
    """Send the key to another machine without TLS."""


@contextlib.contextmanager
def asking(stub: Callable[[grpc.Channel], Any]) -> Iterator[Ask]:
    """A way to ask the agent of the settings. Raises SecurityError where the key would leave this machine in plain text."""
    settings = ClientSettings.read()
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    if key and not settings.insecure:
        advice = "set VOUCH_CLIENT_TLS_CA, or VOUCH_CLIENT_INSECURE=true where the network between is trusted"
        require_encryption(settings.agent, encrypted=settings.tls is not None, advice=advice)
    with command_channel(settings.agent, settings.tls) as channel:
        methods = stub(channel)

        def ask(method: str, request: Any) -> Any:
            seconds = None if method in _ENDLESS else _SECONDS
            return getattr(methods, method)(request, timeout=seconds, metadata=(("x-api-key", key),) if key else None)

        yield ask


def command_channel(target: str, tls: ClientTls | None) -> grpc.Channel:
    """Return a channel for a command, by TLS where it is set. Raises SecurityError where certificates cannot be read."""
    return grpc.insecure_channel(target) if tls is None else grpc.secure_channel(target, tls.credentials())


def tell(command: str, error: Any, away: str = "") -> None:
    """Say what was said, or that nobody could be reached: the agent of the settings, unless `away` says who."""
    told = str(error.details())
    if error.code() == grpc.StatusCode.UNAVAILABLE and rpc_status.from_call(error) is None:
        told = away or f"the agent at {ClientSettings.read().agent} cannot be reached (VOUCH_CLIENT_AGENT)"
    print(plain(f"{command}: {told}"), file=sys.stderr)
