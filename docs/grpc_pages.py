"""The reference pages of the gRPC services, one for each, from the contract: comments, types, HTTP rules, roles, errors."""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor

from agent_server.services.roles import ROLES as AGENT_ROLES
from generated.vouch.v1 import (
    agent_service_pb2,
    case_service_pb2,
    outcome_service_pb2,
    privacy_service_pb2,
    scoring_service_pb2,
)
from http_bridge.json.descriptions import description
from http_bridge.openapi.request_schemas import is_required
from ml_server.serving.running import ROLES as SCORER_ROLES
from runtime.access.caller import ROLES as ALL_ROLES

ROLES: Final[Mapping[str, tuple[str, ...]]] = AGENT_ROLES | SCORER_ROLES
SERVICES: Final[Mapping[str, tuple[ServiceDescriptor, str]]] = {
    "agent": (agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"], "agent, port 50052"),
    "scoring": (scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"], "scorer, port 50051"),
    "cases": (case_service_pb2.DESCRIPTOR.services_by_name["CaseService"], "agent, port 50052"),
    "outcomes": (outcome_service_pb2.DESCRIPTOR.services_by_name["OutcomeService"], "agent, port 50052"),
    "privacy": (privacy_service_pb2.DESCRIPTOR.services_by_name["PrivacyService"], "agent, port 50052"),
}
"""Page, service, and the server that serves it."""
COMMON_ERRORS: Final = (
    "INVALID_REQUEST",
    "API_KEY_INVALID",
    "ROLE_INSUFFICIENT",
    "OVERLOADED",
    "DEADLINE_EXCEEDED",
    "INTERNAL",
)
"""Reasons that every method can answer."""
_DECISION: Final = ("DECISION_NOT_FOUND",)
_CLAIM: Final = ("CASE_NOT_FOUND", "CASE_NOT_AVAILABLE")
OWN_ERRORS: Final[Mapping[str, tuple[str, ...]]] = {
    "Review": ("SCORER_UNAVAILABLE",),
    "GetDecision": _DECISION, "GetLinks": _DECISION, "VerifyDecision": _DECISION, "ReportOutcome": _DECISION,
    "GetCase": ("CASE_NOT_FOUND",), "CommentCase": ("CASE_NOT_FOUND",),
    "ClaimCase": _CLAIM, "RenewClaim": _CLAIM, "ReleaseCase": _CLAIM, "ResolveCase": _CLAIM,
    "ExportPerson": ("NOTHING_KEPT",),
}  # fmt: skip
"""Further reasons of methods; tests/services/test_grpc_reference.py calls each. Those of a whole service are added."""
_OF_SERVER: Final = {"ScoringService": "MODEL_NOT_LOADED"}
_LINKED: Final = {"vouch.v1.Transaction": "[Transaction](../columns.md)"}
_WELL_KNOWN: Final = {"google.protobuf.Timestamp": "Timestamp", "google.rpc.Status": "google.rpc.Status"}
_WIDTH: Final = 116
_NOTE: Final = "<!-- Written by docs/generate.py from the contract. Do not edit. -->"


def errors_of(method: MethodDescriptor) -> tuple[str, ...]:
    """Return the reasons that a method can answer in addition to COMMON_ERRORS."""
    return (*OWN_ERRORS.get(method.name, ()), _OF_SERVER.get(method.containing_service.name, "LEDGER_UNAVAILABLE"))


def grpc_pages() -> Mapping[str, str]:
    """Return the pages by their file names."""
    return {f"{name}.md": "\n\n".join(_page(*service)) + "\n" for name, service in SERVICES.items()}


def _page(service: ServiceDescriptor, server: str) -> Iterator[str]:
    methods = list(service.methods)
    yield f"# {service.name}"
    yield _NOTE
    yield _prose(service.full_name)
    where = f"Served by the {server}"
    where += (
        ", and at the edge only with `VOUCH_EDGE_PRIVACY`."
        if service.name == "PrivacyService"
        else ", and at the edge, port 8080."
    )
    yield _wrap(f"{where} Full name: `{service.full_name}`. How to call it: [gRPC](../../how-to/grpc.md).")
    rows = [f"| [{each.name}](#{each.name.lower()}) | `{_http(each)}` | {_roles(each)} |" for each in methods]
    yield "\n".join(["| method | canonical JSON at the edge | roles |", "|---|---|---|", *rows])
    common = ", ".join(COMMON_ERRORS)
    yield _wrap(
        f"Each method can answer {common}; [errors](../api.md#errors) says when. Other reasons are listed below."
    )
    for method in methods:
        yield from _method(method)
    nested = _nested([part for method in methods for part in (method.input_type, method.output_type)])
    messages = [each for each in nested if isinstance(each, Descriptor)]
    enums = [each for each in nested if isinstance(each, EnumDescriptor)]
    if messages:
        yield "## Messages"
        for message in messages:
            yield f"### {message.name}\n\n{_prose(message.full_name)}"
            yield _fields(message)
    if enums:
        yield "## Enums"
        for enum in enums:
            yield f"### {enum.name}\n\n{_prose(enum.full_name)}"
            lines = [f"| `{one.name}` | {_cell(_description_of_value(enum, one.name))} |" for one in enum.values]
            yield "\n".join(["| value | meaning |", "|---|---|", *lines])


def _method(method: MethodDescriptor) -> Iterator[str]:
    yield f"## {method.name}\n\n{_prose(method.full_name)}"
    stream = "stream of " if method.server_streaming else ""
    yield f"- Roles: {_roles(method)}\n- Errors: {', '.join(errors_of(method))}"
    yield _prose(method.input_type.full_name, f"Request: `{method.input_type.name}`. ")
    yield _fields(method.input_type)
    yield _prose(method.output_type.full_name, f"Response: {stream}`{method.output_type.name}`. ")
    yield _fields(method.output_type)


def _fields(message: Descriptor) -> str:
    if not message.fields:
        return "No fields."
    rows = [
        f"| `{field.name}` | {_type(field)} | {_presence(field)} | {_cell(description(field.full_name))} |"
        for field in message.fields
    ]
    return "\n".join(["| field | type | | meaning |", "|---|---|---|---|", *rows])


def _presence(field: FieldDescriptor) -> str:
    """Return whether a field must be sent, or may be absent."""
    message: Any = field.containing_type
    if is_required(field) and message.name.endswith("Request"):
        return "required"
    return "optional" if field.has_presence and not field.message_type else ""


def _type(field: FieldDescriptor) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        entry = field.message_type.fields_by_name
        return f"map of {_name(entry['key'])} to {_name(entry['value'])}"
    return f"list of {_name(field)}" if field.is_repeated else _name(field)


def _name(field: FieldDescriptor) -> str:
    kind: Any = field.message_type or field.enum_type
    if kind is None:
        return (
            {value: name for name, value in vars(FieldDescriptor).items() if name.startswith("TYPE_")}[field.type]
            .removeprefix("TYPE_")
            .lower()
        )
    if kind.full_name in _LINKED or kind.full_name in _WELL_KNOWN:
        return (_LINKED | _WELL_KNOWN)[kind.full_name]
    return f"[{kind.name}](#{kind.name.lower()})"


def _nested(start: list[Descriptor]) -> list[Any]:
    """Return the messages and enums that the fields of messages have, in order."""
    found: dict[str, Any] = {}
    waiting = list(start)
    while waiting:
        for field in waiting.pop(0).fields:
            kind: Any = field.message_type or field.enum_type
            if kind is None or kind.full_name in _LINKED or kind.full_name in _WELL_KNOWN or kind.full_name in found:
                continue
            if isinstance(kind, Descriptor):
                waiting.append(kind)
                if kind.GetOptions().map_entry:
                    continue
            found[kind.full_name] = kind
    return list(found.values())


def _http(method: MethodDescriptor) -> str:
    rule: Any = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    return f"{verb.upper()} {getattr(rule, verb)}"


def _roles(method: MethodDescriptor) -> str:
    return ", ".join(
        role for role in ALL_ROLES if role in ROLES[f"/{method.containing_service.full_name}/{method.name}"]
    )


def _description_of_value(enum: EnumDescriptor, name: str) -> str:
    return description(f"{enum.full_name}.{name}")


def _prose(full_name: str, before: str = "") -> str:
    """Return a comment as prose of these pages, after a text."""
    return _wrap(before + description(full_name))


def _wrap(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
