"""Clients of the transports: each sends a vector in its own format, and returns the response in a common one."""

import contextlib
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc
import httpx
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from conformance.vector import GRPC, JSON, REST, Vector, field_name
from contract.fields import EXTRAS, FIELDS
from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.transaction_pb2 import Transaction
from runtime.errors import violations_of

TIMEOUT_SECONDS = 15.0
_REPLAYED = "vouch-replayed"
_DRY_RUN = "?dry_run=true"
_METHODS: Mapping[str, tuple[str, Any, Any]] = {
    "predict": ("/vouch.v1.ScoringService/Predict", scoring.PredictRequest, scoring.PredictResponse),
    "review": ("/vouch.v1.AgentService/Review", agent.ReviewRequest, agent.ReviewResponse),
    "decision": ("/vouch.v1.AgentService/GetDecision", agent.GetDecisionRequest, agent.GetDecisionResponse),
    "unknown": ("/vouch.v1.ScoringService/Guess", scoring.PredictRequest, scoring.PredictResponse),
}


@dataclass(frozen=True)
class Outcome:
    """A response: gRPC code or HTTP status, the fields that an error names, and the comparable part of the answer."""

    code: str = ""
    status: int = 0
    fields: Sequence[str] = ()
    answer: Mapping[str, Any] = field(default_factory=dict)
    decision_id: str = ""
    replayed: bool = False


class Transport(Protocol):
    """A client of one transport."""

    name: str

    def send(self, vector: Vector, order: Mapping[str, Any] | None, key: str, *, dry_run: bool = False) -> Outcome:
        """Send one request. `order` is the vector's order with unique ids. With `dry_run` a review is not recorded."""


class GrpcTransport:
    """gRPC, to the edge or to the services."""

    name = GRPC

    def __init__(self, scorer: grpc.Channel, agent: grpc.Channel) -> None:
        self._scorer, self._agent = scorer, agent

    def send(self, vector: Vector, order: Mapping[str, Any] | None, key: str, *, dry_run: bool = False) -> Outcome:
        """See Transport."""
        path, request_class, answer_class = _METHODS[vector.call]
        request: Any = request_class()
        if vector.call == "decision":
            request.transaction_id = (order or {})["transaction_id"]
        else:
            ParseDict(dict(order or {}), request.transaction)
        if vector.call == "predict":
            request.explain_level = scoring.EXPLAIN_LEVEL_FULL
        if dry_run:
            request.dry_run = True
        channel = self._agent if path.startswith("/vouch.v1.Agent") else self._scorer
        method = channel.unary_unary(path, request_class.SerializeToString, answer_class.FromString)
        metadata = (*vector.headers.items(), *((("x-api-key", key),) if key else ()))
        try:
            message, call = method.with_call(
                request, timeout=TIMEOUT_SECONDS if vector.timeout is None else vector.timeout, metadata=metadata
            )
        except grpc.RpcError as error:
            call_error: Any = error
            return Outcome(call_error.code().name, fields=_grpc_error_fields(rpc_status.from_call(call_error)))
        replayed = any(name == _REPLAYED for name, _ in call.initial_metadata() or ())
        plain = _plain(message)
        return Outcome("OK", answer=_comparable(plain), decision_id=_decision_id(plain), replayed=replayed)


class HttpTransport:
    """A transport with JSON: canonical at /v1, or the documented REST at /api/v1."""

    def __init__(self, name: str, client: httpx.Client, scorer: str, agent: str) -> None:
        self.name, self._client, self._scorer, self._agent = name, client, scorer, agent

    def send(self, vector: Vector, order: Mapping[str, Any] | None, key: str, *, dry_run: bool = False) -> Outcome:
        """See Transport."""
        headers = {"content-type": "application/json"} | ({"x-api-key": key} if key else {}) | dict(vector.headers)
        if vector.timeout is not None:
            headers["x-request-timeout"] = f"{vector.timeout:.9f}"
        if vector.call == "decision":
            url = (
                self._agent
                + ("/v1/decisions/" if self.name == JSON else "/api/v1/decisions/")
                + (order or {})["transaction_id"]
            )
            return self._outcome(self._client.get(url, headers=headers))
        if vector.body is not None:
            text = vector.body[:-1] + " " * vector.pad + vector.body[-1:]
        else:
            text = json.dumps(order if self.name == JSON else _to_rest(order or {}))
        url = self._url(vector.call) + (_DRY_RUN if dry_run else "")
        return self._outcome(self._client.post(url, content=text.encode(), headers=headers))

    def _url(self, call: str) -> str:
        if self.name == JSON:
            paths = {
                "predict": "transactions:predict?explain_level=EXPLAIN_LEVEL_FULL",
                "review": "transactions:review",
                "unknown": "transactions:guess",
            }
            return (self._agent if call == "review" else self._scorer) + "/v1/" + paths[call]
        paths = {"predict": "predict?explain=full", "review": "review", "unknown": "guess"}
        return (self._agent if call == "review" else self._scorer) + "/api/v1/" + paths[call]

    def _outcome(self, answer: httpx.Response) -> Outcome:
        try:
            values = answer.json()
        except ValueError:
            values = {}
        if not answer.is_success:
            return Outcome(
                status=answer.status_code, fields=_json_error_fields(values if isinstance(values, dict) else {})
            )
        plain = _plain_json(values)
        return Outcome(
            status=answer.status_code,
            answer=_comparable(plain),
            decision_id=_decision_id(plain),
            replayed=_REPLAYED in answer.headers,
        )


def _to_rest(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transaction in REST's format: short names of enums, extra fields in one object."""
    values: dict[str, Any] = {}
    for name, value in order.items():
        if name in EXTRAS:
            values.setdefault("extra", {}).update(value)
        elif FIELDS[name].kind == "enum":
            values[name] = _short_name(name, value)
        else:
            values[name] = value
    return values


def _short_name(name: str, value: str) -> str | None:
    enum = Transaction.DESCRIPTOR.fields_by_name[name].enum_type
    assert enum is not None
    return FIELDS[name].names.get(enum.values_by_name[value].number)


def _plain(message: Message) -> dict[str, Any]:
    """Return score, decision and reasons of a gRPC response."""
    found: Any = message
    if isinstance(message, agent.GetDecisionResponse):
        found = message.review
    scored = found.HasField("legitimacy_score") if isinstance(message, agent.ReviewResponse) else True
    return {
        "legitimacy_score": getattr(found, "legitimacy_score", None) if scored else None,
        "decision": agent.Decision.Name(found.decision) if hasattr(found, "decision") else None,
        "reasons": [(reason.feature, reason.contribution, reason.sentence) for reason in getattr(found, "reasons", ())],
        "decision_id": getattr(found, "decision_id", ""),
        "degraded": getattr(found, "degraded", False),
    }


def _plain_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same of a JSON response, in either format."""
    found = values.get("review") if "record" in values else values
    found = found if isinstance(found, dict) else {}
    decision = found.get("decision")
    if decision is not None and not decision.startswith("DECISION_"):
        decision = f"DECISION_{decision.upper()}"
    score = found.get("legitimacy_score")
    return {
        "legitimacy_score": None if found.get("degraded") else score,
        "decision": decision,
        "reasons": [(one["feature"], one["contribution"], one["sentence"]) for one in found.get("reasons", ())],
        "decision_id": found.get("decision_id", ""),
        "degraded": bool(found.get("degraded")),
    }


def _comparable(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in plain.items() if name != "decision_id"}


def _decision_id(plain: Mapping[str, Any]) -> str:
    return str(plain.get("decision_id") or "")


def _grpc_error_fields(rich: status_pb2.Status | None) -> list[str]:
    """Return the fields that a gRPC error names."""
    return sorted({field_name(path) for path, _ in violations_of(rich)}) if rich else []


def _json_error_fields(values: Mapping[str, Any]) -> list[str]:
    """Return the fields that an error of the edge or of REST names."""
    named = {
        each["field"]
        for detail in values.get("details", ())
        for each in detail.get("field_violations", detail.get("fieldViolations", ()))
    }
    listed = values.get("detail")
    if isinstance(listed, list):
        named |= {".".join(map(str, each["loc"][1:])) for each in listed if len(each["loc"]) > 1}
    return sorted({field_name(name) for name in named})


@contextlib.contextmanager
def all_transports(
    scorer: grpc.Channel, agent: grpc.Channel, edge: str, rest_scorer: str, rest_agent: str, authority: str | None = None
) -> Iterator[list[Transport]]:  # fmt: skip
    """Yield the three transports: gRPC on two channels, canonical JSON at the edge's URL, and REST at two URLs.

    `authority` is a file of trusted CA certificates.
    """
    with httpx.Client(timeout=TIMEOUT_SECONDS, verify=ssl.create_default_context(cafile=authority)) as client:
        canonical, documented = (
            HttpTransport(JSON, client, edge, edge),
            HttpTransport(REST, client, rest_scorer, rest_agent),
        )
        yield [GrpcTransport(scorer, agent), canonical, documented]
