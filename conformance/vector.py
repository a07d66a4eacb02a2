"""Test vectors: a request and its expected response. `vectors.json` contains them for programs in any language."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

GRPC, JSON, REST = "grpc", "json", "rest"
TRANSPORTS: Final = (GRPC, JSON, REST)
"""gRPC; canonical JSON, which Envoy transcodes to gRPC (/v1); and the documented REST (/api/v1)."""
PATH: Final = Path(__file__).resolve().parent / "vectors.json"
CALLS: Final = ("predict", "review", "decision", "unknown")


@dataclass(frozen=True)
class Vector:
    """A request, and the expected response.

    order: the transaction in canonical JSON; each transport converts it to its own format.
    body: instead of an order, a raw JSON body that no message can express.
    pad: number of spaces to insert before the body's last character.
    timeout: the request timeout in seconds.
    times: number of identical requests; they get the same response, and the last is marked as a replay.
    key: the API key: `own`, `none`, `wrong` or `reviewer`; the last three only if keys are required.
    code: the gRPC status; runtime/error_statuses.py maps it to the HTTP status of each transport.
    fields: the fields that the error names.
    doors: the transports that the vector applies to.
    but: known differences by transport: the transport's own `status` or `code`, and `why`.
    when: `degraded` for vectors that need an unavailable scorer.
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
    doors: Sequence[str] = TRANSPORTS
    but: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    when: str = ""


def read(path: Path = PATH) -> list[Vector]:
    """Read the vectors of a file. Raises ValueError, KeyError or TypeError if the file is invalid."""
    return [Vector(**each) for each in json.loads(path.read_text())["vectors"]]


def dump(vectors: Sequence[Vector]) -> str:
    """Return the text of a file of vectors: one line per vector, without default values."""
    defaults = {one.name: one.default for one in fields(Vector)}
    lines = []
    for vector in vectors:
        values = asdict(vector)
        written = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value != defaults[name]
            and value not in ({}, ())
            and not (name == "doors" and tuple(value) == TRANSPORTS)
        }
        lines.append("  " + json.dumps(written, ensure_ascii=True))
    return '{"vectors": [\n' + ",\n".join(lines) + "\n]}\n"


def field_name(path: str) -> str:
    """Return a field's path without the enclosing message; an extra field is `extra.` and its name."""
    path = path.removeprefix("transaction.")
    for start in ("extra_numbers[", "extra_texts["):
        if path.startswith(start):
            path = "extra." + path.removeprefix(start).removesuffix("]").strip('"')
    return path
