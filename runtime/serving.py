"""A gRPC server from start to a clean end: port, health, reflection, signals, drain."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from runtime.interceptors import handlers

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
MAX_MESSAGE_BYTES = 4 << 20
DRAIN_SECONDS = 10.0

_log = structlog.get_logger()


class PortTaken(Exception):
    """The address to listen on is in use; the message names it."""


class Server:
    """A grpc.aio server with health and reflection. Health starts NOT_SERVING: whoever owns the service flips it."""

    def __init__(self, address: str, services: Mapping[ServiceDescriptor, Any]) -> None:
        self.address = address
        self.health = health.aio.HealthServicer()
        self.names = [service.full_name for service in services]
        self._server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", 4 * MAX_MESSAGE_BYTES),
            ]
        )
        self._server.add_generic_rpc_handlers([handlers(service, servicer) for service, servicer in services.items()])
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        reflection.enable_server_reflection([*self.names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self.port = 0

    async def start(self) -> None:
        """Listen; raise PortTaken when the address is in use."""
        try:
            self.port = self._server.add_insecure_port(self.address)
        except RuntimeError as error:
            raise PortTaken(
                f"cannot listen on {self.address}: the port is in use or the address is not here"
            ) from error
        for name in self.names:
            await self.health.set(name, NOT_SERVING)
        await self._server.start()

    async def set_serving(self, serving: bool) -> None:
        """Tell health checks, for each service and for the server as a whole."""
        for name in ("", *self.names):
            await self.health.set(name, SERVING if serving else NOT_SERVING)

    async def stop(self, grace: float = DRAIN_SECONDS) -> None:
        """Say NOT_SERVING, take nothing new, finish what is in flight within `grace` seconds."""
        await self.health.enter_graceful_shutdown()
        await self._server.stop(grace)


@contextlib.asynccontextmanager
async def stop_signal() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM or SIGINT sets."""
    event, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, event.set)
    try:
        yield event
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
