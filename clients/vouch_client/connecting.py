"""Channels with a key and a policy, and the stubs over them."""

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
    """What a call is made with, and its key; the base names that gRPC asks for."""

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
    """Shows a key with each call."""

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
    """The services behind one address; `channel` is for what has no stub here."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.scoring, self.agent = ScoringServiceStub(channel), AgentServiceStub(channel)
        self.cases, self.outcomes = CaseServiceStub(channel), OutcomeServiceStub(channel)


_ON_THIS_MACHINE = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?|unix:.*")


def _require_encryption(target: str, *, key: str, encrypted: bool) -> None:
    address = re.sub(r"^dns:(//[^/]*/)?", "", target)
    if key and not encrypted and not _ON_THIS_MACHINE.fullmatch(address):
        raise ValueError(
            f"the API key would be sent to {target} in plain text: pass tls=True or authority=..., or insecure=True where the "
            "network between is trusted"
        )


def _credentials(authority: bytes | None) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority)


@contextlib.contextmanager
def connect(
    target: str, *, key: str = "", tls: bool = False, authority: bytes | None = None, deadline: float = DEADLINE_SECONDS,
    insecure: bool = False,
) -> Iterator[Vouch]:  # fmt: skip
    """Stubs over a channel to an edge, host:port. `authority` is a certificate in PEM; with it, or with `tls`, by TLS.

    Raises ValueError where `key` would travel to another machine in plain text; `insecure` allows that.
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
    """As `connect`, for asyncio."""
    _require_encryption(target, key=key, encrypted=tls or bool(authority) or insecure)
    keys: Any = [_AioKey(key)] if key else []
    if tls or authority:
        channel = grpc.aio.secure_channel(target, _credentials(authority), options(deadline), interceptors=keys)
    else:
        channel = grpc.aio.insecure_channel(target, options(deadline), interceptors=keys)
    async with channel:
        yield Vouch(channel)
