"""Channels with an API key and a retry policy, and the stubs on them."""

import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import grpc

from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from generated.vouch.v1.outcome_service_pb2_grpc import OutcomeServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from vouch_client.policy import DEADLINE_SECONDS, options


class _Details(NamedTuple):
    """The details of a call, with the field names of grpc.ClientCallDetails."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any = None


def _with_key(details: Any, key: str) -> _Details:
    metadata = [*(details.metadata or ()), ("x-api-key", key)]
    return _Details(details.method, details.timeout, metadata, details.credentials, details.wait_for_ready)


class _Key(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Interceptor that adds an API key to each call."""

    def __init__(self, key: str) -> None:
        self._key = key

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """See gRPC."""
        return continuation(_with_key(details, self._key), request)

    def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
        """See gRPC."""
        return continuation(_with_key(details, self._key), request)


class _AioKey(grpc.aio.UnaryUnaryClientInterceptor):
    """The same for asyncio."""

    def __init__(self, key: str) -> None:
        self._key = key

    async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        """See gRPC."""
        metadata = grpc.aio.Metadata(*(details.metadata or ()), ("x-api-key", self._key))
        return await continuation(details._replace(metadata=metadata), request)


class Vouch:
    """The services of one address. `channel` is for services without a stub here."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.scoring, self.agent = ScoringServiceStub(channel), AgentServiceStub(channel)
        self.cases, self.outcomes = CaseServiceStub(channel), OutcomeServiceStub(channel)


_ON_THIS_MACHINE = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?|unix:.*")


def _require_encryption(target: str, *, key: str, encrypted: bool) -> None:
    address = re.sub(r"^dns:(//[^/]*/)?", "", target)
    if key and not encrypted and not _ON_THIS_MACHINE.fullmatch(address):
        raise ValueError(
            f"the API key would be sent to {target} in plain text; pass tls=True or authority=..., or insecure=True if the "
            "network is trusted"
        )


def _credentials(authority: bytes | None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority)


@contextlib.contextmanager
def connect(
    target: str, *, key: str = "", tls: bool = False, authority: bytes | None = None, deadline: float = DEADLINE_SECONDS,
    insecure: bool = False,
) -> Iterator[Vouch]:  # fmt: skip
    """Yield stubs on a channel to an edge at host:port.

    Args:
        target: host:port.
        key: the API key; empty for none.
        tls: use TLS, with the default CA certificates.
        authority: a CA certificate in PEM; implies TLS.
        deadline: default timeout of a call, in seconds.
        insecure: allow sending the key to another machine in plain text.

    Raises ValueError if `key` would be sent to another machine in plain text.

    """
    _require_encryption(target, key=key, encrypted=tls or bool(authority) or insecure)
    if tls or authority:
        channel = grpc.secure_channel(target, _credentials(authority), options(deadline))
    else:
        channel = grpc.insecure_channel(target, options(deadline))
    with channel:
        yield Vouch(grpc.intercept_channel(channel, _Key(key)) if key else channel)


@contextlib.asynccontextmanager
async def connect_aio(
    target: str, *, key: str = "", tls: bool = False, authority: bytes | None = None, deadline: float = DEADLINE_SECONDS,
    insecure: bool = False,
) -> AsyncIterator[Vouch]:  # fmt: skip
    """Yield stubs for asyncio; see `connect`."""
    _require_encryption(target, key=key, encrypted=tls or bool(authority) or insecure)
    keys: Any = [_AioKey(key)] if key else []
    if tls or authority:
        channel = grpc.aio.secure_channel(target, _credentials(authority), options(deadline), interceptors=keys)
    else:
        channel = grpc.aio.insecure_channel(target, options(deadline), interceptors=keys)
    async with channel:
        yield Vouch(channel)
