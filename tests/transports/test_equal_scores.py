"""One score for an order at every door: Python API, command line, gRPC, batches and REST, equal to the last bit."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from google.protobuf.json_format import ParseDict, ParseError
from google.rpc import status_pb2
from grpc_status import rpc_status

from contract.fields import FIELDS, REQUIRED, enum_prefix
from contract.tables import NULLS
from generated.vouch.v1 import scoring_service_pb2 as scoring
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from load_test.orders import read_orders
from ml_server.estimator.model import Model
from runtime.errors import violations_of
from testing.inputs import hostile
from testing.servers.processes import Stack, call
from testing.transports import JSON_TYPE, encode_body

Body = dict[str, Any]
REAL, SPARSE, HOSTILE = 250, 350, 400
NATIVE = {"text": str, "enum": str, "time": str, "count": int, "number": int | float, "flag": bool}
LEAP_SECOND = {"2016-12-31T23:59:60Z": "2017-01-01T00:00:00Z"}
"""A time of REST that protobuf's library cannot parse, and the same in its notation."""
NO_TIME = "2025-02-11T10:00:00+24:00"
"""A text that only protobuf's library takes for a time."""


LOCAL_LENGTH = len("2025-02-11T10:00:00")
"""Length of a time without a zone, which protobuf's library requires."""


@dataclass(frozen=True)
class Answer:
    """The score of an order, or the fields that a refusal names."""

    score: float | None
    fields: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Answers:
    """1,000 orders as bodies of REST and as messages, and the answer to each by REST."""

    bodies: list[Body]
    messages: list[Transaction | None]
    """None where no message can have the value: a count above 32 bits, a time that is none."""
    rest: list[Answer]

    def accepted(self) -> list[int]:
        """Return the indexes of the orders that have a score."""
        return [index for index, answer in enumerate(self.rest) if answer.score is not None]


def to_message(body: Body) -> Transaction | None:
    """Return a body as a message, by protobuf's own library."""
    values = dict(body)
    for name, value in body.items():
        if FIELDS[name].kind == "enum":
            values[name] = enum_prefix(Transaction.DESCRIPTOR.fields_by_name[name].enum_type) + value.upper()
        elif FIELDS[name].kind == "time":
            if value == NO_TIME:
                return None
            values[name] = LEAP_SECOND.get(value, f"{value}Z" if len(value) == LOCAL_LENGTH else value)
    try:
        return ParseDict(values, Transaction())
    except (ParseError, ValueError):
        return None


def refusal(status: status_pb2.Status | None) -> Answer:
    """Return the refusal of a service."""
    assert status is not None
    return Answer(None, frozenset(path.rpartition(".")[2] for path, _ in violations_of(status)))


@pytest.fixture(scope="module")
def answers(few: Path, stack: Stack, client: httpx.Client) -> Answers:
    """Send 1,000 orders to REST: real ones, sparse ones down to the three required fields, and hostile ones."""
    chance, real = random.Random(5), [order.body for order in read_orders(few)]
    sparse = []
    for body in real[REAL:][:SPARSE]:
        share = chance.random()
        sparse.append({name: body[name] for name in body if name in REQUIRED or chance.random() < share})
    native = [
        order
        for name, order in hostile.bodies()
        if isinstance(order[name], NATIVE[FIELDS[name].kind])
        and isinstance(order[name], bool) == (FIELDS[name].kind == "flag")
    ]
    bodies = [*real[:REAL], *sparse, *chance.sample(native, HOSTILE)]
    assert len(bodies) == 1000
    found = []
    for body in bodies:
        answer = client.post(
            f"{stack.url('rest_ml')}/api/v1/predict?explain=none", content=encode_body(body), headers=JSON_TYPE
        )
        assert answer.status_code in (200, 422), answer.text
        content = answer.json()
        if answer.status_code == 200:
            found.append(Answer(content["legitimacy_score"]))
        else:
            found.append(Answer(None, frozenset(entry["loc"][1] for entry in content["detail"])))
    return Answers(bodies, list(map(to_message, bodies)), found)


def test_grpc_and_rest_agree(answers: Answers, stack: Stack) -> None:
    """Predict and PredictBatch give the scores of REST, and refuse the same orders with the same fields."""
    sent = [index for index, message in enumerate(answers.messages) if message is not None]
    orders: list[Any] = [answers.messages[index] for index in sent]
    with grpc.insecure_channel(stack.address("ml")) as channel:
        stub, single = ScoringServiceStub(channel), []
        for order in orders:
            answer = stub.Predict.future(scoring.PredictRequest(transaction=order))
            if answer.code() == grpc.StatusCode.OK:
                single.append(Answer(answer.result().legitimacy_score))
            else:
                assert answer.code() == grpc.StatusCode.INVALID_ARGUMENT, answer.details()
                single.append(refusal(rpc_status.from_call(answer)))
        policy = scoring.BATCH_ERROR_POLICY_FAIL_ITEM
        request: Any = scoring.PredictBatchRequest(transactions=orders, error_policy=policy)
        batch = [
            refusal(one.error) if one.HasField("error") else Answer(one.prediction.legitimacy_score)
            for one in stub.PredictBatch(request).results
        ]
    assert single == batch == [answers.rest[index] for index in sent]
    by_rest_alone = [answers.rest[index] for index in range(len(answers.bodies)) if index not in set(sent)]
    assert all(answer.score is None for answer in by_rest_alone), "what no message can have, REST refuses too"
    refused = [answer for answer in answers.rest if answer.score is None]
    assert all(answer.fields for answer in refused)
    assert len(answers.accepted()) > 600 and len(refused) > 100 and len(sent) > 900


def rows_of(answers: Answers, indexes: Sequence[int]) -> pa.Table:
    """Return accepted orders as the table that a file of them has: short names of enums, times in UTC."""
    rows = []
    for index in indexes:
        row, message = dict(answers.bodies[index]), answers.messages[index]
        assert message is not None
        for name in row:
            if FIELDS[name].kind == "time":
                row[name] = getattr(message, name).ToDatetime().strftime("%Y-%m-%d %H:%M:%S").rjust(19, "0")
        rows.append({name: row.get(name) for name in FIELDS})
    kinds = {"count": pa.int64(), "number": pa.float64(), "flag": pa.bool_()}
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds.get(FIELDS[name].kind, pa.string())) for name in FIELDS]))


def scores_of_command(table: pa.Table, models: Path, folder: Path, ending: str) -> list[float]:
    """Return the scores that `vouch score` computes for a file of a table."""
    source, target = folder / f"orders.{ending}", folder / f"scores-of-{ending}.parquet"
    pa_csv.write_csv(table, source) if ending == "csv" else pq.write_table(table, source)
    done = call("score", str(source), "--output", str(target), "--models-dir", str(models))
    assert done.returncode == 0, done.stderr
    scores: list[float] = pq.read_table(target).column("legitimacy_score").to_pylist()
    return scores


def test_files_and_frames_agree(answers: Answers, models: Path, tmp_path: Path) -> None:
    """`vouch.Model` and `vouch score` give the scores of REST, for frames of Arrow and pandas, Parquet and CSV."""
    accepted = answers.accepted()
    wanted = [answers.rest[index].score for index in accepted]
    table, model = rows_of(answers, accepted), Model.load(models / "current")
    frames: list[Any] = [table, table.to_pandas(), pd.DataFrame(table.to_pylist(), dtype=object)]
    for frame in frames:
        assert model.predict_proba(frame)[:, 0].tolist() == wanted
    assert scores_of_command(table, models, tmp_path, "parquet") == wanted
    # In CSV some words are unknown values, and a cell has one line.
    plain = [
        place
        for place, row in enumerate(table.to_pylist())
        if not any(isinstance(cell, str) and (cell in NULLS or not cell.isprintable()) for cell in row.values())
    ]
    assert len(plain) > 600
    assert scores_of_command(table.take(plain), models, tmp_path, "csv") == [wanted[place] for place in plain]


@pytest.mark.parametrize(
    "text", ["2025-02-30T00:00:00Z", "2025-02-11T24:00:00Z", "10000-01-01T00:00:00Z", "yesterday", ""]
)
def test_wrong_times_are_refused_everywhere(
    text: str, client: httpx.Client, stack: Stack, models: Path, tmp_path: Path
) -> None:
    """A time that is none is refused by REST, by the message itself, by frames and by files, which all name the field."""
    body = hostile.ORDER | {"timestamp": text}
    answer = client.post(f"{stack.url('rest_ml')}/api/v1/predict", content=encode_body(body), headers=JSON_TYPE)
    assert answer.status_code == 422 and answer.json()["detail"][0]["loc"] == ["body", "timestamp"]
    assert to_message(body) is None
    table = pa.Table.from_pylist([hostile.ORDER, body])
    with pytest.raises(ValueError, match="row 1, column timestamp"):
        Model.load(models / "current").predict_proba(table)
    pq.write_table(table, tmp_path / "orders.parquet")
    done = call(
        "score", str(tmp_path / "orders.parquet"), "--output", str(tmp_path / "x.csv"), "--models-dir", str(models)
    )
    assert done.returncode == 2 and "row 2, column timestamp" in done.stderr
