"""Extras, what a shop knows beside the fields: through every door a model with twenty of them says the same."""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from load_test.extras import model_extras
from load_test.orders import read_orders
from ml_server.registry.store import load
from ml_server.serving.metrics import UNKNOWN, ScoreMetrics
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.errors import InvalidRequest
from testing.inputs import hostile
from testing.inputs.orders import DOCUMENTED, message
from testing.servers.processes import Stack, call
from tests.conftest import alone

NUMBERS, TEXTS = [f"v{number}" for number in range(17)], ["shop", "Basket.kind", "kind-2"]
ROWS, ASKED = 1000, 40


@pytest.fixture(scope="module")
def foreign(table: pa.Table, shared: Path) -> Path:
    """A folder with a file that has twenty more columns, its mapping, a model that reads them, and its scores."""
    folder = shared / "foreign"
    with alone(shared):
        if not (folder / "scores.parquet").exists():
            folder.mkdir(exist_ok=True)
            _make_foreign(table, folder)
    return folder


def _make_foreign(table: pa.Table, folder: Path) -> None:
    frame = table.slice(0, ROWS).to_pandas()
    rng = np.random.default_rng(5)
    columns = {"id": frame.transaction_id, "when": frame.timestamp, "amount": frame.order_amount}
    for number, name in enumerate(NUMBERS):
        values = frame.is_abuse * (number % 5) + rng.normal(0, 2, ROWS)
        columns[name] = pd.Series(values).mask(rng.random(ROWS) < 0.1)
    for name in TEXTS:
        texts = np.where(frame.is_abuse & (rng.random(ROWS) < 0.4), "3", rng.choice(["a", " b", "c d", "2.5"], ROWS))
        columns[name] = pd.Series(texts).mask(rng.random(ROWS) < 0.1)
    pd.DataFrame({**columns, "bad": frame.is_abuse.astype(int)}).to_parquet(folder / "orders.parquet")
    (folder / "mapping.yaml").write_text(
        "columns: {transaction_id: id, timestamp: when, order_amount: amount}\nlabel: {from: bad, abuse: '1'}\n"
        f"extra: {{numeric: {json.dumps(NUMBERS)}, categorical: {json.dumps(TEXTS)}}}\n"
    )
    common = ("--mapping", str(folder / "mapping.yaml"), "--models-dir", str(folder / "models"))
    few = ("--form", "tables", "--rounds", "10")
    done = call("train", "--dataset", str(folder / "orders.parquet"), *common, *few)
    assert done.returncode == 0, done.stderr
    done = call("score", str(folder / "orders.parquet"), "--output", str(folder / "scores.parquet"), *common)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def shop(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A scorer, an agent and their REST that serve that model."""
    running = Stack(tmp_path_factory.mktemp("stack"), foreign / "models")
    try:
        running.start("ml", "agent", "rest_ml", "rest_agent")
        running.wait_until_healthy()
        yield running
    finally:
        running.close()


def _orders(folder: Path) -> list[Transaction]:
    frame = pd.read_parquet(folder / "orders.parquet").head(ASKED)
    orders = []
    for row in frame.to_dict("records"):
        order = Transaction(transaction_id=str(row["id"]), user_id="u", order_amount=float(row["amount"]))
        order.timestamp.FromDatetime(row["when"].to_pydatetime())
        order.extra_numbers.update({name: row[name] for name in NUMBERS if not pd.isna(row[name])})
        order.extra_texts.update({name: row[name] for name in TEXTS if not pd.isna(row[name])})
        orders.append(order)
    return orders


def _body(order: Transaction) -> dict[str, object]:
    extra = {**dict(order.extra_numbers), **dict(order.extra_texts)}
    return {
        "transaction_id": order.transaction_id, "user_id": order.user_id, "order_amount": order.order_amount,
        "timestamp": order.timestamp.ToJsonString(), "extra": extra,
    }  # fmt: skip


def test_every_door_gives_the_same_score(foreign: Path, shop: Stack) -> None:
    """gRPC, a batch, REST, the agent and `vouch score` give a model with twenty extras the same scores to the bit."""
    orders = _orders(foreign)
    wanted = pd.read_parquet(foreign / "scores.parquet").legitimacy_score.head(ASKED).tolist()
    with grpc.insecure_channel(shop.address("ml")) as channel:
        stub = ScoringServiceStub(channel)
        info = stub.GetModelInfo(pb.GetModelInfoRequest())
        alone = [stub.Predict(pb.PredictRequest(transaction=order)).legitimacy_score for order in orders]
        results = stub.PredictBatch(pb.PredictBatchRequest(transactions=orders)).results
    assert (sorted(info.extra_numbers), sorted(info.extra_texts)) == (sorted(NUMBERS), sorted(TEXTS))
    with httpx.Client() as client:
        predict, review = shop.url("rest_ml") + "/api/v1/predict", shop.url("rest_agent") + "/api/v1/review"
        rest = [client.post(predict, json=_body(order)).json()["legitimacy_score"] for order in orders]
        reviewed = [client.post(review, json=_body(order)).json()["legitimacy_score"] for order in orders[:10]]
    assert alone == wanted
    assert [result.prediction.legitimacy_score for result in results] == wanted
    assert rest == wanted
    assert reviewed == wanted[:10]
    assert len(set(wanted)) > ASKED / 2


def test_what_a_model_needs_and_does_not_get_is_said(shop: Stack) -> None:
    """Extras that the model reads and the order lacks are named in the answer; others are left aside."""
    order = message()
    order.extra_numbers["v3"] = 1.0
    order.extra_texts["v4"] = " "
    order.extra_numbers["nobody_reads_this"] = 1.0
    with grpc.insecure_channel(shop.address("ml")) as channel:
        answer = ScoringServiceStub(channel).Predict(pb.PredictRequest(transaction=order))
    assert set(answer.unknown_extras) == {*NUMBERS, *TEXTS} - {"v3"}


def _as_sent(name: str, value: float | str) -> Transaction:
    """An order with one extra, in the map of its JSON type as REST and gRPC clients send it."""
    order = message(transaction_id=f"order-{uuid.uuid4().hex}")
    if isinstance(value, str):
        order.extra_texts[name] = value
    else:
        order.extra_numbers[name] = value
    return order


def _cases() -> Iterator[tuple[str, float | str, Transaction | None]]:
    """An extra's name, the value that is sent, and the order that says the same in the type which the model wants."""
    for value, number, text in hostile.EXTRA_TYPES:
        for name, wanted in (("v4", number), ("shop", text)):
            if wanted == hostile.REFUSED:
                yield name, value, None
            else:
                yield name, value, message() if wanted is None else _as_sent(name, wanted)


def _grpc(call: Callable[[], Any], field: str) -> float | str:
    """A score, or the name of the field that is refused with the type that it wants."""
    try:
        return float(call().legitimacy_score)
    except grpc.RpcError as error:
        failed: Any = error
        assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
        return _refused(failed.details(), field)


def _rest(status: int, answer: Any, field: str) -> float | str:
    if status == 200:
        return float(answer["legitimacy_score"])
    assert status == 422
    assert answer["detail"][0]["loc"][-2:] == ["extra", field]
    return _refused(str(answer["detail"]), field)


def _refused(words: str, field: str) -> str:
    assert f"must be a {'number' if field in NUMBERS else 'text'}" in words, words
    assert field in words
    return hostile.REFUSED


def test_an_extra_of_the_other_type_says_the_same_or_is_refused(foreign: Path, shop: Stack) -> None:
    """At every door, alone and in batches, `3` and `"3"` get one score; what cannot be read is refused by name and type."""
    differ = []
    scorer = Scorer(load(foreign / "models"))
    predict, review = shop.url("rest_ml") + "/api/v1/predict", shop.url("rest_agent") + "/api/v1/review"
    with (
        httpx.Client() as client,
        grpc.insecure_channel(shop.address("ml")) as to_scorer,
        grpc.insecure_channel(shop.address("agent")) as to_agent,
    ):
        scoring, reviewing = ScoringServiceStub(to_scorer), AgentServiceStub(to_agent)
        for name, value, same in _cases():
            order = _as_sent(name, value)
            wanted = hostile.REFUSED if same is None else scorer.score(same)
            body = DOCUMENTED | {"transaction_id": order.transaction_id, "extra": {name: value}}
            found: dict[str, Any] = {
                "grpc": _grpc(partial(scoring.Predict, pb.PredictRequest(transaction=order)), name),
                "agent": _grpc(partial(reviewing.Review, agent.ReviewRequest(transaction=order)), name),
            }
            for door, url in (("predict", predict), ("review", review)):
                for way in ("alone", "again"):  # the same order again gets the recorded answer, or is refused again
                    sent = client.post(url, json=body)
                    found[f"{door} {way}"] = _rest(sent.status_code, sent.json(), name)
                (one,) = client.post(f"{url}:batch", json={"transactions": [body]}).json()["results"]
                found[f"{door} batch"] = _rest(one["status"], one.get("result", one), name)
            result = scoring.PredictBatch(
                pb.PredictBatchRequest(transactions=[order], error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM)
            ).results[0]
            found["grpc batch"] = (
                result.prediction.legitimacy_score
                if result.WhichOneof("outcome") == "prediction"
                else _refused(str(result.error), name)
            )
            differ += [(name, value, door, one, wanted) for door, one in found.items() if one != wanted]
    assert not differ


def test_a_file_with_the_other_type_gets_the_same_scores(foreign: Path, tmp_path: Path) -> None:
    """`vouch score` reads a column of texts as numbers and one of numbers as texts, and gives the scores of the doors."""
    scorer = Scorer(load(foreign / "models"))
    common = ("--mapping", str(foreign / "mapping.yaml"), "--models-dir", str(foreign / "models"))
    frame = pd.read_parquet(foreign / "orders.parquet").head(len(hostile.EXTRA_TYPES))
    order = _orders(foreign)[0]
    for name, of_case in (("v4", 1), ("shop", 2)):
        cases = [case for case in hostile.EXTRA_TYPES if case[of_case] != hostile.REFUSED]
        kinds = (str, float) if name == "v4" else (float, str)
        for kind in kinds:
            own = [case for case in cases if isinstance(case[0], str) == (kind is str)]
            rows = pd.concat([frame.head(1)] * len(own), ignore_index=True)
            rows["id"] = [f"row{number}" for number in range(len(own))]
            rows[name] = pd.Series([kind(case[0]) for case in own])
            rows.to_parquet(tmp_path / "rows.parquet")
            done = call("score", str(tmp_path / "rows.parquet"), "--output", str(tmp_path / "s.parquet"), *common)
            assert done.returncode == 0, done.stderr
            wanted = []
            for case in own:
                same = Transaction()
                same.CopyFrom(order)
                same.extra_numbers.pop(name, None)
                same.extra_texts.pop(name, None)
                if case[of_case] is not None:
                    extras: Any = same.extra_numbers if name == "v4" else same.extra_texts
                    extras[name] = case[of_case]
                wanted.append(scorer.score(same))
            assert pd.read_parquet(tmp_path / "s.parquet").legitimacy_score.tolist() == wanted, (name, kind)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"with space": 1}, "extra"),
        ({"v1": True}, "number or a text"),
        ({"v1": [1]}, "number or a text"),
        ({"v1": "x" * 257}, "256"),
        ({f"v{number}": 1 for number in range(257)}, "256"),
        ([1], "extra"),
        ("v1", "extra"),
    ],
)
def test_extras_that_cannot_be(shop: Stack, extra: object, words: str) -> None:
    """Extras of other types, names and sizes are refused by REST with the field's name, and the next order is served."""
    url = shop.url("rest_ml") + "/api/v1/predict"
    body = _body(message()) | {"extra": extra}
    answer = httpx.post(url, json=body)
    assert answer.status_code == 422
    assert words in answer.text
    assert httpx.post(url, json=body | {"extra": {}}).status_code == 200


@pytest.mark.parametrize(
    ("numbers", "texts"),
    [({"1st": 1.0}, {}), ({"v1": float("inf")}, {}), ({}, {"v1": "x" * 257}), ({"": 1.0}, {}),
     ({f"v{number}": 1.0 for number in range(257)}, {})],
)  # fmt: skip
def test_grpc_refuses_the_same(shop: Stack, numbers: dict[str, float], texts: dict[str, str]) -> None:
    """The contract's rules of extras hold for gRPC: INVALID_ARGUMENT that names the map."""
    order = message()
    order.extra_numbers.update(numbers)
    order.extra_texts.update(texts)
    with (
        grpc.insecure_channel(shop.address("ml")) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        ScoringServiceStub(channel).Predict(pb.PredictRequest(transaction=order))
    error: grpc.Call = caught.value  # type: ignore[assignment]
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "extra_" in (error.details() or "")


def test_what_is_unknown_is_counted_and_explained(foreign: Path) -> None:
    """An extra that is missing is counted by its name; names with dots are told in reasons as they are."""
    metrics = ScoreMetrics()
    service = ScoringService(metrics)
    service.serve(load(foreign / "models"))
    order = _orders(foreign)[0]
    order.extra_texts["Basket.kind"] = "a"
    order.extra_numbers.pop("v2", None)
    before = UNKNOWN.labels("v2")._value.get()
    asked = pb.PredictRequest(transaction=order, explain=True)
    answer = asyncio.run(service.Predict(asked, None))  # type: ignore[arg-type]
    metrics.flush()
    assert UNKNOWN.labels("v2")._value.get() == before + 1
    assert answer.reasons
    assert not any("{" in reason.sentence for reason in answer.reasons)


def test_strict_servers_refuse_what_no_model_reads(foreign: Path) -> None:
    """With VOUCH_ML_STRICT_EXTRAS a name that the model does not read is refused, alone and in batches."""
    service = ScoringService(strict_extras=True)
    service.serve(load(foreign / "models"))
    order = _orders(foreign)[0]
    assert asyncio.run(service.Predict(pb.PredictRequest(transaction=order), None)).transaction_id  # type: ignore[arg-type]
    order.extra_numbers["V1"] = 1.0
    one, many = pb.PredictRequest(transaction=order), pb.PredictBatchRequest(transactions=[order])
    for answer, path in (
        (service.Predict(one, None), "transaction.extra_numbers[V1]"),  # type: ignore[arg-type]
        (service.PredictBatch(many, None), "transactions[0].extra_numbers[V1]"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InvalidRequest) as caught:
            asyncio.run(answer)
        assert path in str(caught.value)
        assert "reads no such extra" in str(caught.value)


def test_files_that_do_not_fit_the_model_are_refused(foreign: Path, tmp_path: Path) -> None:
    """A mapping without the model's extras, and a table that has almost none of its columns: a sentence that names them."""
    known = ["--models-dir", str(foreign / "models"), "--output", str(tmp_path / "s.csv")]
    (tmp_path / "less.yaml").write_text((foreign / "mapping.yaml").read_text().replace('"v1", ', ""))
    done = call("score", str(foreign / "orders.parquet"), "--mapping", str(tmp_path / "less.yaml"), *known)
    assert (done.returncode, "numeric extra v1:" in done.stderr) == (2, True), done.stderr
    (tmp_path / "bare.csv").write_text("transaction_id,timestamp,user_id,colour\na,2025-01-01 10:00:00,u,red\n")
    done = call("score", str(tmp_path / "bare.csv"), *known)
    assert (done.returncode, "almost nothing" in done.stderr) == (2, True), done.stderr
    assert load(foreign / "models").version in done.stderr


def test_the_load_test_sends_what_the_model_reads(foreign: Path, shop: Stack, tmp_path: Path) -> None:
    """Columns that the model reads go along in `extra`; other columns do not."""
    frame = pd.read_parquet(foreign / "orders.parquet").head(50)
    renamed = frame.rename(columns={"id": "transaction_id", "when": "timestamp", "amount": "order_amount"})
    renamed.assign(user_id="u", colour="red", is_abuse=frame.bad == 1).to_parquet(tmp_path / "orders.parquet")
    extras = model_extras("http://127.0.0.1:1", shop.url("rest_ml"))
    sent = read_orders(tmp_path / "orders.parquet", extras)
    for order, wanted in zip(sent, _orders(foreign), strict=False):
        assert order.body["extra"] == {**wanted.extra_numbers, **wanted.extra_texts}
        assert "colour" not in order.body
