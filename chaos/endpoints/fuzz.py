"""Fuzzing of the wire: messages of every shape, bytes that are no message, connections that are not HTTP/2.

Every answer is a status that names the error. None is INTERNAL or UNKNOWN, no process dies, and memory does not grow.
"""

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generated.vouch.v1 import agent_service_pb2, case_service_pb2, privacy_service_pb2, scoring_service_pb2
from generated.vouch.v1.transaction_pb2 import Transaction
from testing.servers.replicas import agent, running, scorer
from testing.waiting import wait_for

FINE = {"OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
_SERVICES = [
    service
    for file in (scoring_service_pb2, agent_service_pb2, case_service_pb2, privacy_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
]
_METHODS = [method for service in _SERVICES for method in service.methods if not method.server_streaming]
_SECONDS = 10.0
_VALUES: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.CPPTYPE_STRING: st.text(st.characters(codec="utf-8"), max_size=40),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(),
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_ENUM: st.integers(-1, 9),
}


@dataclass(frozen=True)
class FuzzResult:
    """Statuses of all calls, and the servers' memory before and after."""

    statuses: Counter[str]
    resident_before: int
    resident_after: int
    alive: bool

    @property
    def unexpected(self) -> dict[str, int]:
        """Return the statuses that must not occur."""
        return {status: count for status, count in self.statuses.items() if status not in FINE}


def _is_map(field: Any) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


@st.composite
def messages_of(draw: Any, descriptor: Any, plain: bool = False) -> Any:
    """Draw a message with any fields set to any values of their types."""
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if not draw(st.booleans()):
            continue
        if _is_map(field):
            key, value = (_VALUES[field.message_type.fields_by_name[name].cpp_type] for name in ("key", "value"))
            getattr(message, field.name).update(draw(st.dictionaries(key, value, max_size=3)))
        elif field.is_repeated and field.message_type is None:
            getattr(message, field.name).extend(draw(st.lists(_VALUES[field.cpp_type], max_size=3)))
        elif field.is_repeated:
            if not plain:
                getattr(message, field.name).extend(
                    draw(st.lists(messages_of(field.message_type, plain=True), max_size=3))
                )
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(draw(messages_of(field.message_type)))
        else:
            setattr(message, field.name, draw(_VALUES[field.cpp_type]))
    return message


def _valid() -> Transaction:
    order = Transaction(transaction_id="fuzz", user_id="fuzz", order_amount=10.0, email_domain="gmail.com")
    order.timestamp.FromJsonString("2025-02-11T10:00:00Z")
    return order


@st.composite
def calls(draw: Any) -> tuple[str, bytes]:
    """Draw the path of a method and the bytes to send."""
    method = draw(st.sampled_from(_METHODS))
    path = f"/{method.containing_service.full_name}/{method.name}"
    shape = draw(st.sampled_from(("message", "message", "valid", "bent", "bytes", "nowhere")))
    if shape == "nowhere":
        return draw(st.sampled_from(("/vouch.v1.ScoringService/Nothing", "/a/b", "/vouch.v2.X/Y"))), b""
    if shape == "bytes":
        return path, draw(st.binary(max_size=400))
    if shape == "message":
        return path, draw(messages_of(method.input_type)).SerializeToString()
    message: Any = GetMessageClass(method.input_type)()
    if "transaction" in message.DESCRIPTOR.fields_by_name:
        message.transaction.CopyFrom(_valid())
    content = bytearray(message.SerializeToString())
    if shape == "bent" and content:
        for _ in range(draw(st.integers(1, 4))):
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return path, bytes(content)


def _garbage(port: int, content: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(content)
        connection.settimeout(0.05)
        try:
            connection.recv(1024)
        except (TimeoutError, ConnectionError):
            return


async def fuzz(folder: Path, models: Path, cases: int) -> FuzzResult:
    """Send `cases` calls, and a fiftieth as many connections with garbage, to a scorer and an agent."""
    behind = scorer(folder, models)
    front = agent(folder, behind.address)
    with running(behind, front):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        return await asyncio.to_thread(_run, behind, front, cases)


def _run(behind: Any, front: Any, cases: int) -> FuzzResult:
    statuses: Counter[str] = Counter()
    servers = {"scorer": behind, "agent": front}
    channels = {name: grpc.insecure_channel(server.address) for name, server in servers.items()}
    calling: dict[str, Any] = {
        name: lambda path, content, channel=channel: channel.unary_unary(path)(
            content, timeout=_SECONDS, wait_for_ready=True
        )
        for name, channel in channels.items()
    }

    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(calls())
    def send(call: tuple[str, bytes]) -> None:
        path, content = call
        try:
            calling["scorer" if "Scoring" in path else "agent"](path, content)
            statuses["OK"] += 1
        except grpc.RpcError as error:
            statuses[error.code().name] += 1

    @settings(max_examples=max(1, cases // 50), deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from((behind, front)), st.binary(max_size=300), st.booleans())
    def connect(server: Any, content: bytes, preface: bool) -> None:
        _garbage(server.port, (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if preface else b"") + content)

    for _ in range(min(cases, 300)):  # one-time allocations are not growth
        calling["scorer"]("/vouch.v1.ScoringService/GetModelInfo", b"")
    before = behind.resident_bytes() + front.resident_bytes()
    send()
    connect()
    alive = all(server.process is not None and server.process.poll() is None for server in (behind, front))
    after = behind.resident_bytes() + front.resident_bytes() if alive else 0
    for channel in channels.values():
        channel.close()
    return FuzzResult(statuses, before, after, alive)
