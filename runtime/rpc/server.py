"""A gRPC server from start to clean shutdown: port, credentials, health, reflection, signals, drain."""

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from runtime.access import SecurityError
from runtime.access.caller import read_certificate_roles
from runtime.access.keys import ApiKeys
from runtime.access.loopback import require_loopback
from runtime.access.tls import ServerFiles, server_credentials
from runtime.client.channels import MAX_RESPONSE_BYTES
from runtime.jobs import Jobs
from runtime.process.shutdown import limit_shutdown_time
from runtime.process.terminal import Terminal
from runtime.process.workers import PortTaken, report_started
from runtime.rpc.authentication import Authenticator
from runtime.rpc.grpc_tuning import lower_grpc_thread_priority
from runtime.rpc.guard import Guard, Roles
from runtime.rpc.handlers import handlers
from runtime.rpc.health import JOBS, NOT_SERVING, SERVING, BoundedHealth
from runtime.rpc.local import LocalStub
from runtime.settings import ServerSettings
from runtime.telemetry.logging import get_logger
from runtime.validation.checks import validator

_PUBLISH_SECONDS, _THREAD_PRIORITY_SECONDS = 0.5, 5.0

_log = get_logger()


def options(settings: ServerSettings, share_port: bool) -> list[tuple[str, Any]]:
    """Return the options of a gRPC server, with the limits that keep one caller from using all resources."""
    return [
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", MAX_RESPONSE_BYTES),
        # Above the limit of the edge. Both are set, since gRPC refuses at random between the soft and the hard limit.
        ("grpc.max_metadata_size", 32 << 10),
        ("grpc.absolute_max_metadata_size", 32 << 10),
        # Connections are closed gracefully after a while, so that callers rebalance over workers and replicas.
        ("grpc.max_connection_age_ms", settings.max_connection_age_seconds * 1000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Refusing a call costs as much Python time as scoring, so excess calls must queue at the client.
        ("grpc.max_concurrent_streams", settings.max_concurrent_streams),
    ]


def _certificate_roles(settings: ServerSettings) -> dict[str, str]:
    """Return roles by certificate name. Raise SecurityError that names the setting."""
    try:
        return read_certificate_roles(settings.certificate_roles)
    except SecurityError as error:
        raise SecurityError(f"{settings.prefix}CERTIFICATE_ROLES: {error}") from error


class Server:
    """A guarded grpc.aio server. Health starts as NOT_SERVING; the owner calls `set_serving`.

    As a context manager it listens, handles signals, and drains on exit. A worker shares its port with others and also
    stops when its supervisor ends.
    """

    def __init__(
        self,
        settings: ServerSettings,
        services: Mapping[ServiceDescriptor, Any],
        *,
        worker: bool = False,
        roles: Roles,
        flush: Callable[[], None] = lambda: None,
        handle_signals: bool = True,
        jobs: Jobs | None = None,
    ) -> None:
        """Prepare the server.

        `flush` updates the metrics of the service; with `handle_signals`, signals stop the server. `jobs` supervises
        the background jobs of the service and of the server; they end before the drain.
        """
        keys = ApiKeys(settings.api_keys) if settings.api_keys else None
        guarded = keys is not None or settings.tls_client_ca is not None
        prefix = settings.prefix
        require_loopback(settings.listen, guarded=guarded, insecure=settings.insecure, variable=f"{prefix}LISTEN")
        self.settings, self.port = settings, 0
        certificate_roles = _certificate_roles(settings) if settings.tls_client_ca else None
        self.guard = Guard(
            authenticator=Authenticator(keys, certificate_roles, insecure=settings.insecure),
            roles=roles,
            max_in_flight=settings.max_in_flight,
            max_streams=settings.max_streams,
            max_watchers=settings.max_watchers,
            log_every=settings.log_every,
        )
        self.health = BoundedHealth()
        self.names = [service.full_name for service in services]
        self.stopping, self._stop_now, self.reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._services, self._handles_signals = services, handle_signals
        self._worker, self._flush, self._terminal = worker, flush, Terminal()
        self._server = grpc.aio.server(options=options(settings, worker))
        self._server.add_generic_rpc_handlers(
            [handlers(service, servicer, self.guard) for service, servicer in services.items()]
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        reflection.enable_server_reflection([*self.names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server)
        self.jobs = jobs or Jobs()
        self._release: Callable[[], None] = lambda: None

    def stub(self, service: ServiceDescriptor) -> LocalStub:
        """Return a stub of one of the services for callers in this process."""
        return LocalStub(service, self._services[service], self.guard)

    async def __aenter__(self) -> Self:
        """Listen. Raise PortTaken if the address is in use, SecurityError if certificates are unusable."""
        settings = self.settings
        try:
            if settings.tls_certificate and settings.tls_key:
                files = ServerFiles(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
                credentials = server_credentials(files)
                self.port = self._server.add_secure_port(settings.listen, credentials)
            else:
                self.port = self._server.add_insecure_port(settings.listen)
        except RuntimeError as error:
            raise PortTaken(
                f"cannot listen on {settings.listen}: the port is in use or the address is not local"
            ) from error
        await self.set_serving(False)
        await self._server.start()
        if self._handles_signals:
            self._install_signal_handlers()
        report_started()
        self.jobs.add("metrics", self._publish, every=_PUBLISH_SECONDS)
        self.jobs.add("grpc-threads", self._lower_thread_priority, every=_THREAD_PRIORITY_SECONDS)
        self.jobs.add("validator", self._load_validator)
        _log.info("listening", address=settings.listen, port=self.port, tls=settings.tls_certificate is not None)
        return self

    async def _lower_thread_priority(self) -> None:
        """Lower the priority of new gRPC threads too: gRPC creates them on demand."""
        lower_grpc_thread_priority(self.settings.grpc_nice)

    async def _load_validator(self) -> None:
        """Import protovalidate before the first request needs it."""
        await asyncio.to_thread(validator)

    def _install_signal_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self._on_sighup)
        self._release = limit_shutdown_time(self.settings.lame_duck_seconds + self.settings.drain_seconds)
        supervisor = multiprocessing.parent_process() if self._worker else None
        if supervisor:
            loop.add_reader(supervisor.sentinel, self._on_supervisor_exit, supervisor.sentinel)

    def _on_sighup(self) -> None:
        self.stop() if self._terminal.is_closed() else self.reload.set()

    def _on_supervisor_exit(self, sentinel: int) -> None:
        asyncio.get_running_loop().remove_reader(sentinel)
        self.stopping.set()

    def stop(self) -> None:
        """Drain and stop; a second call stops immediately."""
        (self._stop_now if self.stopping.is_set() else self.stopping).set()

    async def set_serving(self, serving: bool) -> None:
        """Set the health of each service and of the whole server."""
        for name in ("", *self.names):
            await self.health.set(name, SERVING if serving else NOT_SERVING)

    def _flush_all(self) -> None:
        self.guard.flush()
        self._flush()

    async def _publish(self) -> None:
        """Publish metrics, and the health of background jobs."""
        self._flush_all()
        self.jobs.update_metrics()
        failing = self.jobs.failing
        for name in self.jobs.names:
            await self.health.set(JOBS + name, NOT_SERVING if name in failing else SERVING)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Report NOT_SERVING, give callers time to notice, refuse new calls, finish calls in flight."""
        _log.info("draining", in_flight=self.guard.in_flight)
        await self.jobs.close()
        await self.health.enter_graceful_shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop_now.wait(), self.settings.lame_duck_seconds)
        draining = asyncio.create_task(self._server.stop(self.settings.drain_seconds))
        stop_now = asyncio.create_task(self._stop_now.wait())
        await asyncio.wait({draining, stop_now}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            await self._server.stop(0)
        stop_now.cancel()
        await draining
        self._flush_all()
        self._release()
        _log.info("stopped")
