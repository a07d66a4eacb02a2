"""Extras, a shop's fields beyond the contract: every transport gives a model with twenty of them the same scores."""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pandas as pd
import pytest

from generated.vouch.v1 import agent_service_pb2 as agent
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from generated.vouch.v1.scoring_service_pb2_grpc import ScoringServiceStub
from generated.vouch.v1.transaction_pb2 import Transaction
from load_test.extras import fetch_model_extras
from load_test.orders import read_orders
from ml_server.registry.store import load
from ml_server.serving.scorer import Scorer
from testing.inputs import hostile
from testing.inputs.orders import DOCUMENTED, message
from testing.servers.processes import Stack
from tests.services.extras.conftest import NUMBERS, ORDERS, TEXTS, first_orders


@pytest.fixture(scope="module")
def shop(foreign: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a scorer, an agent and their REST with that model."""
    running = Stack(tmp_path_factory.mktemp("stack"), foreign / "models")
    try:
        running.start("ml", "agent", "rest_ml", "rest_agent")
        running.wait_until_healthy()
        yield running
    finally:
        running.close()


def _body(order: Transaction) -> dict[str, object]:
    extra = {**dict(order.extra_numbers), **dict(order.extra_texts)}
    return {
        "transaction_id": order.transaction_id, "user_id": order.user_id, "order_amount": order.order_amount,
        "timestamp": order.timestamp.ToJsonString(), "extra": extra,
    }  # fmt: skip


def test_every_transport_gives_the_same_score(foreign: Path, shop: Stack) -> None:
    """gRPC, a batch, REST, the agent and `vouch score` give a model with twenty extras the same scores to the bit."""
    orders = first_orders(foreign)
    wanted = pd.read_parquet(foreign / "scores.parquet").legitimacy_score.head(ORDERS).tolist()
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
    assert len(set(wanted)) > ORDERS / 2


def test_missing_extras_are_named(shop: Stack) -> None:
    """Extras that the model reads and the order lacks are named in the answer; others are ignored."""
    order = message()
    order.extra_numbers["v3"] = 1.0
    order.extra_texts["v4"] = " "
    order.extra_numbers["nobody_reads_this"] = 1.0
    with grpc.insecure_channel(shop.address("ml")) as channel:
        answer = ScoringServiceStub(channel).Predict(pb.PredictRequest(transaction=order))
    assert set(answer.unknown_extras) == {*NUMBERS, *TEXTS} - {"v3"}


def _as_sent(name: str, value: float | str) -> Transaction:
    """Return an order with one extra, in the map of its JSON type as REST and gRPC clients send it."""
    order = message(transaction_id=f"order-{uuid.uuid4().hex}")
    if isinstance(value, str):
        order.extra_texts[name] = value
    else:
        order.extra_numbers[name] = value
    return order


def _cases() -> Iterator[tuple[str, float | str, Transaction | None]]:
    """Yield an extra's name, the value sent, and the order with the equal value in the type that the model expects."""
    for value, number, text in hostile.EXTRA_TYPES:
        for name, wanted in (("v4", number), ("shop", text)):
            if wanted == hostile.REFUSED:
                yield name, value, None
            else:
                yield name, value, message() if wanted is None else _as_sent(name, wanted)


def _grpc(call: Callable[[], Any], field: str) -> float | str:
    """Return a score, or the name of the refused field after checking the expected type in the error."""
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


def test_an_extra_of_the_other_type_scores_the_same_or_is_refused(foreign: Path, shop: Stack) -> None:
    """On every transport `3` and `"3"` get one score; unreadable values are refused by name and type."""
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
            for transport, url in (("predict", predict), ("review", review)):
                for way in ("alone", "again"):  # the same order again gets the recorded answer, or is refused again
                    sent = client.post(url, json=body)
                    found[f"{transport} {way}"] = _rest(sent.status_code, sent.json(), name)
                (one,) = client.post(f"{url}:batch", json={"transactions": [body]}).json()["results"]
                found[f"{transport} batch"] = _rest(one["status"], one.get("result", one), name)
            result = scoring.PredictBatch(
                pb.PredictBatchRequest(transactions=[order], error_policy=pb.BATCH_ERROR_POLICY_FAIL_ITEM)
            ).results[0]
            found["grpc batch"] = (
                result.prediction.legitimacy_score
                if result.WhichOneof("outcome") == "prediction"
                else _refused(str(result.error), name)
            )
            differ += [(name, value, transport, one, wanted) for transport, one in found.items() if one != wanted]
    assert not differ


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"with space": 1}, "extra"),
        ({"v1": True}, "number or a string"),
        ({"v1": [1]}, "number or a string"),
        ({"v1": "x" * 257}, "256"),
        ({f"v{number}": 1 for number in range(257)}, "256"),
        ([1], "extra"),
        ("v1", "extra"),
    ],
)
def test_extras_that_cannot_be(shop: Stack, extra: object, words: str) -> None:
    """Extras of other types, names and sizes are refused by REST with the field's name; the next order is served."""
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
    """The contract's rules for extras apply to gRPC: INVALID_ARGUMENT that names the map."""
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


def test_the_load_test_sends_what_the_model_reads(foreign: Path, shop: Stack, tmp_path: Path) -> None:
    """Columns that the model reads are sent in `extra`; other columns are not."""
    frame = pd.read_parquet(foreign / "orders.parquet").head(50)
    renamed = frame.rename(columns={"id": "transaction_id", "when": "timestamp", "amount": "order_amount"})
    renamed.assign(user_id="u", colour="red", is_abuse=frame.bad == 1).to_parquet(tmp_path / "orders.parquet")
    extras = fetch_model_extras("http://127.0.0.1:1", shop.url("rest_ml"))
    sent = read_orders(tmp_path / "orders.parquet", extras)
    for order, wanted in zip(sent, first_orders(foreign), strict=False):
        assert order.body["extra"] == {**wanted.extra_numbers, **wanted.extra_texts}
        assert "colour" not in order.body
