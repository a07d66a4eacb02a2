"""A vector: what is asked, and what every door has to say. `vectors.json` holds them for programs in any language."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

GRPC, JSON, REST = "grpc", "json", "rest"
DOORS: Final = (GRPC, JSON, REST)
"""GRPC itself; canonical JSON, which Envoy makes gRPC of (/v1); and the documented REST (/api/v1)."""
PATH: Final = Path(__file__).resolve().parent / "vectors.json"
CALLS: Final = ("predict", "review", "decision", "unknown")


@dataclass(frozen=True)
class Vector:
    """What is asked, and what is expected.

    order: the transaction in canonical JSON; each door writes it in its own way.
    body: instead of an order, what JSON doors are sent as it is, where no message could say it.
    pad: so many spaces stand in front of the body's end.
    timeout: how many seconds the caller waits.
    times: how often it is asked; the answers are one and the same, and the last says that it is a replay.
    key: `own`, `none`, `wrong` or `reviewer`: with which API key; the last three only where keys are set.
    code: gRPC's status; the table in runtime/error_statuses.py says which of HTTP's that is at each door.
    fields: the fields that an error names.
    but: where a door cannot, by door: its own `status` or `code`, and `why`.
    when: `degraded` for those that are asked while the scorer is away.
    """

    name: str
    call: str
    order: Mapping[str, Any] | None = None
    body: str | None = None
    pad: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    key: str = "own"
    times: int = 1
    code: str = "OK"
    fields: Sequence[str] = ()
    doors: Sequence[str] = DOORS
    but: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    when: str = ""


def read(path: Path = PATH) -> list[Vector]:
    """All vectors of a file. Raises ValueError, KeyError or TypeError where it holds none."""
    return [Vector(**each) for each in json.loads(path.read_text())["vectors"]]


def dump(vectors: Sequence[Vector]) -> str:
    """Vectors as a file: a line each, without what is as by default."""
    plain = {one.name: one.default for one in fields(Vector)}
    lines = []
    for vector in vectors:
        values = asdict(vector)
        told = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value != plain[name] and value not in ({}, ()) and not (name == "doors" and tuple(value) == DOORS)
        }
        lines.append("  " + json.dumps(told, ensure_ascii=True))
    return '{"vectors": [\n' + ",\n".join(lines) + "\n]}\n"


def bare(path: str) -> str:
    """A field's path without the message around it, and an extra by its name in any spelling."""
    path = path.removeprefix("transaction.")
    for start in ("extra_numbers[", "extra_texts["):
        if path.startswith(start):
            path = "extra." + path.removeprefix(start).removesuffix("]").strip('"')
    return path
