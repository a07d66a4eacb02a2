"""Orders to send: rows of a dataset as request bodies, with their labels kept apart."""

import datetime as dt
import math
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from contract.extras import extra_text
from contract.fields import FIELDS, LABELS, REQUIRED
from contract.schema import TYPES
from contract.tables import TableError, read_table
from load_test.extras import ModelExtras

DEFAULT_DATASET = Path("abuse_dataset_5000_v2.csv")
NO_EXTRAS: Final = ModelExtras()
DEFAULT_SEED: Final = 7
_DOCUMENTED: Final = re.compile(r"abuse_dataset_([1-9]\d{2,6})(?:_v\d)?\.csv")
"""Names of the workshop's datasets, with their number of rows."""


@dataclass(frozen=True)
class Order:
    """A request body without labels, and its labels."""

    body: dict[str, Any]
    is_abuse: bool
    kind: str


def find_dataset(path: Path) -> Path:
    """Return a dataset of the workshop where it is: as given, or in the current folder instead of data/.

    If it is missing, the default one is generated, and so is data/abuse_dataset_<rows>.csv. Other missing files fail later.
    """
    match = _DOCUMENTED.fullmatch(path.name)
    if path.exists() or match is None or not (path == DEFAULT_DATASET or path.parent == Path("data")):
        return path
    if Path(path.name).exists():
        return Path(path.name)
    size = int(match[1])
    print(f"{path} is missing: generating {size:,} rows", file=sys.stderr, flush=True)
    path.parent.mkdir(exist_ok=True)
    given = {"--size": size, "--seed": DEFAULT_SEED, "--output": path}
    command = [sys.executable, "-m", "data_gen", *(str(part) for pair in given.items() for part in pair)]
    subprocess.run([*command, "--no-validate"], check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return path


def read_orders(path: Path, extras: ModelExtras = NO_EXTRAS) -> list[Order]:
    """Return the orders of a labelled file with the columns `extras`. Raise TableError if it is invalid."""
    types = dict.fromkeys(extras.numbers, pa.float64()) | dict.fromkeys(extras.texts, pa.string()) | TYPES
    table = read_table(path, required=(*REQUIRED, "is_abuse"), types=types)
    fields = table.select([name for name in table.column_names if name not in LABELS])
    truth = table.column("is_abuse").to_pylist()
    kinds = table.column("abuse_type").to_pylist() if "abuse_type" in table.column_names else [""] * len(truth)
    rows = zip(fields.to_pylist(), truth, kinds, strict=True)
    return [Order(as_body(row), bool(abuse), kind or "") for row, abuse, kind in rows]


def as_body(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as a REST body: no unknowns, counts as integers, times in ISO 8601, extra columns in `extra`."""
    body: dict[str, Any] = {}
    extra: dict[str, float | str] = {}
    for name, value in row.items():
        if value is None:
            continue
        if name not in FIELDS:
            if math.isfinite(value) if isinstance(value, float) else extra_text(value):
                extra[name] = value
            continue
        if isinstance(value, dt.datetime):
            value = value.isoformat()
        elif FIELDS[name].kind == "count":
            value = int(value)
        body[name] = value
    return body | {"extra": extra} if extra else body


def stream(orders: list[Order], fraud_ratio: float, seed: int) -> Iterator[Order]:
    """Yield orders without end, abuse with probability `fraud_ratio`. Raise TableError if a class is missing."""
    classes = {abuse: [order for order in orders if order.is_abuse == abuse] for abuse in (True, False)}
    for abuse, share in ((True, fraud_ratio), (False, 1 - fraud_ratio)):
        if share > 0 and not classes[abuse]:
            raise TableError(f"the dataset contains no {'abuse' if abuse else 'legitimate orders'}")
    rng = random.Random(seed)
    while True:
        yield rng.choice(classes[rng.random() < fraud_ratio])
