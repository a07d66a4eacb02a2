"""How commands ask an agent that runs: whom, with which key, and what they say where it refuses."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import grpc
from grpc_status import rpc_status
from pydantic import SecretStr

from runtime.process.terminal import plain
from runtime.settings import Settings, Target

_SECONDS = 10.0
_ENDLESS = ("WatchCases",)
Ask = Callable[[str, Any], Any]
"""Calls a method by its name; raises grpc.RpcError."""


class ClientSettings(Settings):
    """Whom commands ask, and with which key."""

    prefix: ClassVar[str] = "VOUCH_CLIENT_"

    agent: Target = "127.0.0.1:50052"
    api_key: SecretStr | None = None


@contextlib.contextmanager
def asking(stub: Callable[[grpc.Channel], Any]) -> Iterator[Ask]:
    """A way to ask the agent of the settings."""
    settings = ClientSettings.read()
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    with grpc.insecure_channel(settings.agent) as channel:
        methods = stub(channel)

        def ask(method: str, request: Any) -> Any:
            seconds = None if method in _ENDLESS else _SECONDS
            return getattr(methods, method)(request, timeout=seconds, metadata=(("x-api-key", key),) if key else None)

        yield ask


def tell(command: str, error: Any, away: str = "") -> None:
    """Say what was said, or that nobody could be reached: the agent of the settings, unless `away` says who."""
    told = str(error.details())
    if error.code() == grpc.StatusCode.UNAVAILABLE and rpc_status.from_call(error) is None:
        told = away or f"the agent at {ClientSettings.read().agent} cannot be reached (VOUCH_CLIENT_AGENT)"
    print(plain(f"{command}: {told}"), file=sys.stderr)
