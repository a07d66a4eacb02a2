"""Runs vectors over transports, and finds responses that differ from the expected one or between transports."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from conformance.transports import Outcome, Transport
from conformance.vector import GRPC, JSON, Vector
from contract.fields import PSEUDONYMS
from runtime.error_statuses import EDGE_STATUS, HTTP_STATUS

_OWN_IDS = ("transaction_id", "user_id", "device_id", "card_id", *PSEUDONYMS)


@dataclass
class Result:
    """A vector, its outcome over each transport, and the problems found."""

    vector: Vector
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Keys:
    """The API keys of requests; an empty one is not available."""

    own: str = ""
    reviewer: str = ""

    def key_of(self, vector: Vector) -> str | None:
        """Return the key of a vector; None if the vector cannot run, since it needs a key that is not available."""
        if vector.key == "own":
            return self.own
        if vector.key == "reviewer":
            return self.reviewer or None
        if not self.own:
            return None
        return "" if vector.key == "none" else "wrong-key-of-nobody"


def run(
    vectors: Sequence[Vector],
    transports: Sequence[Transport],
    keys: Keys = Keys(),
    when: str = "",
    *,
    opens_cases: bool = False,
) -> Iterator[Result]:
    """Run each vector with this `when` whose key is available, over each of its transports; yield the results.

    Orders that would be sent to review use dry runs only, so that no case is left in the deployment's queue. With
    `opens_cases` they are recorded too, which also tests their replays.
    """
    run_id = uuid.uuid4().hex[:8]
    for vector in vectors:
        key = keys.key_of(vector)
        if vector.when != when or key is None:
            continue
        result = Result(vector)
        for transport in transports:
            name = transport.name
            if name not in vector.doors:
                continue
            order = _with_own_ids(vector, f"{vector.name}-{run_id}-{name}")
            is_dry = not opens_cases and _needs_review(transport, vector, order, key)
            outcomes = [transport.send(vector, order, key, dry_run=is_dry) for _ in range(vector.times)]
            result.outcomes[name] = outcomes[-1]
            result.problems += [f"{name}: {problem}" for problem in _find_problems(vector, name, outcomes, is_dry)]
        answers = {name: outcome.answer for name, outcome in result.outcomes.items() if outcome.answer}
        result.problems += _find_differences(
            {name: answer for name, answer in answers.items() if name not in vector.but}
        )
        yield result


def _needs_review(transport: Transport, vector: Vector, order: Mapping[str, Any] | None, key: str) -> bool:
    """Return whether an order would be sent to review."""
    if vector.call != "review" or vector.code != "OK":
        return False
    return transport.send(vector, order, key, dry_run=True).answer.get("decision") == "DECISION_REVIEW"


def _with_own_ids(vector: Vector, suffix: str) -> dict[str, Any] | None:
    """Return the order; for a review with ids of its own, so that it is no replay and has no history."""
    if vector.order is None:
        return None
    order = dict(vector.order)
    if vector.call != "review":
        return order
    return {name: f"{value}-{suffix}" if name in _OWN_IDS else value for name, value in order.items()}


def _find_problems(vector: Vector, transport: str, outcomes: Sequence[Outcome], is_dry: bool = False) -> Iterator[str]:
    last, but = outcomes[-1], vector.but.get(transport, {})
    code = but.get("code", vector.code)
    if transport == GRPC:
        if last.code != code:
            yield f"{last.code}, not {code}"
    else:
        expected = but.get("status") or expected_status(transport, code)
        if last.status != expected:
            yield f"{last.status}, not {expected}"
    refused = code == "INVALID_ARGUMENT" and "status" not in but
    if vector.fields and refused and list(last.fields) != list(vector.fields):
        yield f"names {', '.join(last.fields) or 'no field'}, not {', '.join(vector.fields)}"
    if is_dry:
        if any(one.decision_id or one.replayed for one in outcomes):
            yield "a dry run was recorded"
    elif vector.times > 1:
        if len({one.decision_id for one in outcomes}) != 1 or not last.decision_id:
            yield "a repeated request got another decision"
        if outcomes[0].replayed or not last.replayed:
            yield "replay flag is missing, or set on the first response"


def expected_status(transport: str, code: str) -> int:
    """Return the HTTP status of a gRPC code over a transport."""
    status = grpc.StatusCode[code]
    if status is grpc.StatusCode.OK:
        return 200
    return (EDGE_STATUS if transport == JSON else HTTP_STATUS)[status]


def _find_differences(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    names = list(answers)
    for name in names[1:]:
        for part, value in answers[name].items():
            if value != answers[names[0]][part]:
                yield f"{name} and {names[0]} differ in {part}: {str(value)[:80]} and {str(answers[names[0]][part])[:80]}"
