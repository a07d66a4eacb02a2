"""Work per gRPC call grows at most in proportion to its size, and is constant without a key.

Work is counted in calls, so that these tests are independent of the machine; see testing/work.py. Every RPC has its
row.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import grpc
from google.protobuf.descriptor import MethodDescriptor

from agent_server import running as deciding
from generated.vouch import v1
from ml_server.serving import running as scoring
from runtime.access.keys import digest, new_key
from runtime.rpc.handlers import handlers
from runtime.rpc.local import LocalContext
from testing.in_process import LocalServices, local_services
from testing.work import Work, measure_work
from tests.transports.work_limits import LARGE, MAX_DIFFERENCE, SMALL, Body, assert_linear, difference


def varint(number: int) -> bytes:
    """Return a number in protobuf's encoding."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def delimited(field: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def nested(depth: int) -> bytes:
    """Return messages nested to a depth."""
    content = b""
    for _ in range(depth):
        content = delimited(1, content)
    return content


MESSAGES: Final[Mapping[str, Body]] = {
    "unknown numbers": lambda n: b"\x78\x00" * 10 * n,
    "unknown texts": lambda n: delimited(15, b"x") * n,
    "the first field again and again": lambda n: b"\x0a\x00" * 10 * n,
    "the fourth field again and again": lambda n: b"\x22\x00" * 10 * n,
    "deep messages": lambda n: nested(min(n, 1000)),
    "a long text": lambda n: delimited(1, b"x" * 25 * n),
    "a text of rubbish": lambda n: delimited(1, b"\xff" * n),
    "many extras": lambda n: delimited(1, b"".join(delimited(44, delimited(1, b"V%d" % i)) for i in range(n))),
    "rubbish": lambda n: b"\xff" * 25 * n,
    "open groups": lambda n: b"\x0b" * n,
}
SERVICES: Final = (scoring.SERVICE, deciding.AGENT, deciding.CASES, deciding.OUTCOMES, deciding.PRIVACY)


def test_every_service_has_a_row() -> None:
    """A new service of the contract belongs in the table."""
    modules = [
        importlib.import_module(f"generated.vouch.v1.{module.name}") for module in pkgutil.iter_modules(v1.__path__)
    ]
    known = {
        service
        for module in modules
        if hasattr(module, "DESCRIPTOR")
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    assert {service.full_name for service in known} == {service.full_name for service in SERVICES}


def methods() -> list[tuple[Any, MethodDescriptor]]:
    """Return every RPC of our servers, with its service."""
    return [(service, method) for service in SERVICES for method in service.methods]


async def call(server: Any, service: Any, method: MethodDescriptor, content: bytes) -> tuple[str, Work]:
    """Call a server's handler with bytes, as gRPC does; return the final code and the work."""
    generic = handlers(service, server._services[service], server.guard)
    details: Any = SimpleNamespace(method=f"/{service.full_name}/{method.name}", invocation_metadata=())
    handler: Any = generic.service(details)
    context = LocalContext(20.0, ())
    with measure_work() as work:
        try:
            request = handler.request_deserializer(content) if handler.request_deserializer else content
            if method.server_streaming:
                stream = handler.unary_stream(request, context)
                async for _ in stream:
                    break
                await stream.aclose()
            else:
                await handler.unary_unary(request, context)
        except grpc.aio.AbortError as aborted:
            return str(getattr(aborted, "code", "")), work
    return "OK", work


async def test_grpc_does_no_more_than_in_proportion(transports: LocalServices) -> None:
    """Hostile bytes at every RPC of the contract cause linear work."""
    for service, method in methods():
        if method.name == "WatchCases":
            continue  # an accepted one waits for changes
        for shape, content in MESSAGES.items():
            await assert_linear(
                f"{method.full_name}: {shape}", calling(transports.server_of(service), service, method, content)
            )


def calling(server: Any, service: Any, method: MethodDescriptor, content: Body) -> Callable[[int], Any]:
    """Return a function that calls an RPC with a message of some size."""
    return lambda n: call(server, service, method, content(n))


async def test_grpc_reads_no_bytes_before_the_key(tmp_path: Path) -> None:
    """Without a known key every RPC is UNAUTHENTICATED after the same work, for any size of the message."""
    keys = tmp_path / "keys"
    keys.write_text(f"shop:{digest(new_key())}:shop\n")
    async with local_services(tmp_path / "none", tmp_path, agent={"api_keys": keys}, ml={"api_keys": keys}) as found:
        for service, method in methods():
            for shape, content in MESSAGES.items():
                answers = [
                    await call(found.server_of(service), service, method, content(n)) for n in (1, 1, SMALL, LARGE)
                ][1:]
                assert {code for code, _ in answers} == {str(grpc.StatusCode.UNAUTHENTICATED)}, (method.name, shape)
                assert difference([work for _, work in answers]) <= MAX_DIFFERENCE, (method.full_name, shape, answers)
