"""Runs vectors through doors and finds where one says other than it should, or other than the others."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from conformance.transports import Outcome, Transport
from conformance.vector import GRPC, JSON, Vector
from runtime.error_statuses import EDGE_STATUS, HTTP_STATUS

_OWN_IDS = ("transaction_id", "user_id", "device_id", "card_id")


@dataclass
class Result:
    """A vector, what every door said, and what is wrong with it."""

    vector: Vector
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Keys:
    """The API keys that vectors are asked with; those that are empty are not there."""

    own: str = ""
    reviewer: str = ""

    def of(self, vector: Vector) -> str | None:
        """The key of a vector; None where it cannot be asked, since no keys are set."""
        if vector.key == "own":
            return self.own
        if vector.key == "reviewer":
            return self.reviewer or None
        if not self.own:
            return None
        return "" if vector.key == "none" else "wrong-key-of-nobody"


def run(
    vectors: Sequence[Vector],
    doors: Sequence[Transport],
    keys: Keys = Keys(),
    when: str = "",
    *,
    opens_cases: bool = False,
) -> Iterator[Result]:
    """Each vector that belongs to `when` and can be asked, at each of its doors.

    An order that would go to a person is reviewed by dry runs alone, so that no case is left in the deployment's queue;
    `opens_cases` has such orders recorded too, and so proves their replays.
    """
    once = uuid.uuid4().hex[:8]
    for vector in vectors:
        key = keys.of(vector)
        if vector.when != when or key is None:
            continue
        result = Result(vector)
        for door in doors:
            if door.name not in vector.doors:
                continue
            order = _own(vector, f"{vector.name}-{once}-{door.name}")
            is_dry = not opens_cases and _needs_person(door, vector, order, key)
            said = [door.ask(vector, order, key, dry_run=is_dry) for _ in range(vector.times)]
            result.outcomes[door.name] = said[-1]
            result.problems += [f"{door.name}: {problem}" for problem in _wrong(vector, door.name, said, is_dry)]
        answers = {name: outcome.answer for name, outcome in result.outcomes.items() if outcome.answer}
        result.problems += _unlike({name: answer for name, answer in answers.items() if name not in vector.but})
        yield result


def _needs_person(door: Transport, vector: Vector, order: Mapping[str, Any] | None, key: str) -> bool:
    """Whether a door would send an order to a person."""
    if vector.call != "review" or vector.code != "OK":
        return False
    return door.ask(vector, order, key, dry_run=True).answer.get("decision") == "DECISION_REVIEW"


def _own(vector: Vector, suffix: str) -> dict[str, Any] | None:
    """The order, with ids that no other door has where it is decided: none is a replay, and memory knows none of them."""
    if vector.order is None:
        return None
    order = dict(vector.order)
    if vector.call != "review":
        return order
    return {name: f"{value}-{suffix}" if name in _OWN_IDS else value for name, value in order.items()}


def _wrong(vector: Vector, door: str, said: Sequence[Outcome], is_dry: bool = False) -> Iterator[str]:
    last, but = said[-1], vector.but.get(door, {})
    code = but.get("code", vector.code)
    if door == GRPC:
        if last.code != code:
            yield f"{last.code}, not {code}"
    else:
        wanted = but.get("status") or expected_status(door, code)
        if last.status != wanted:
            yield f"{last.status}, not {wanted}"
    refused = code == "INVALID_ARGUMENT" and "status" not in but
    if vector.fields and refused and list(last.fields) != list(vector.fields):
        yield f"names {', '.join(last.fields) or 'no field'}, not {', '.join(vector.fields)}"
    if is_dry:
        if any(one.decision_id or one.replayed for one in said):
            yield "a dry run was recorded"
    elif vector.times > 1:
        if len({one.decision_id for one in said}) != 1 or not last.decision_id:
            yield "asked again, another decision"
        if said[0].replayed or not last.replayed:
            yield "does not say that the answer is a record, or says so at first"


def expected_status(door: str, code: str) -> int:
    """HTTP's status of a code at a door, by the one table."""
    status = grpc.StatusCode[code]
    if status is grpc.StatusCode.OK:
        return 200
    return (EDGE_STATUS if door == JSON else HTTP_STATUS)[status]


def _unlike(answers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    names = list(answers)
    for name in names[1:]:
        for part, value in answers[name].items():
            if value != answers[names[0]][part]:
                yield f"{name} and {names[0]} differ in {part}: {str(value)[:80]} and {str(answers[names[0]][part])[:80]}"
