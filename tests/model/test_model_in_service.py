"""The model in service: freed with its last user, with exact metrics, and unaffected by a failing challenger."""

import asyncio
import gc
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.model.log_odds import LogOdds
from ml_server.registry.bundle import TABLES, TREES, Bundle
from ml_server.registry.store import load
from ml_server.serving.metrics import CHALLENGER_FAILURES, DIFFERENCES, ORDERS, SCORES, UNKNOWN, ScoreMetrics
from ml_server.serving.model_updates import load_checked
from ml_server.serving.reader import OPTIONAL, compile_reader
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.process.event_loop import tune_gc
from testing.inputs.orders import message

SWAPS = 4


@pytest.fixture(scope="module", params=[TABLES, TREES])
def small(request: pytest.FixtureRequest, small_models: Path) -> Bundle:
    """Return a small model of either form."""
    return load(small_models / request.param)


def test_a_model_that_is_swapped_out_is_freed_at_once(small: Bundle) -> None:
    """After many swaps one reader and one model are alive: models have no reference cycles."""
    service, order = ScoringService(), message()
    living: list[weakref.ref[object]] = []
    gc.collect()
    gc.disable()
    try:
        for number in range(SWAPS):
            content = small.files() | {"metadata.json": small.metadata.dump({}).encode()}
            bundle = Bundle.parse(content.__getitem__).with_version(f"v{number}")
            service.serve(bundle)
            service.challenge(bundle)
            request = pb.PredictRequest(transaction=order, explain_level=pb.EXPLAIN_LEVEL_FULL)
            asyncio.run(service.Predict(request, None))  # type: ignore[arg-type]
            living += [weakref.ref(part) for part in (bundle, bundle.form, service._ready().read_accepted)]
            del bundle
        alive = [reference() is not None for reference in living]
    finally:
        gc.enable()
    assert alive == [False] * 3 * (SWAPS - 1) + [True] * 3


def test_swaps_of_a_process_leave_one_reader(small_models: Path) -> None:
    """Objects frozen by a swap do not keep the replaced model alive."""
    living: list[weakref.ref[object]] = []
    service = ScoringService()
    for _ in range(2):
        service.serve(load_checked(small_models / TABLES))
        tune_gc()
        living.append(weakref.ref(service._ready().read_accepted))
    assert [reference() is not None for reference in living] == [False, True]


def test_garbage_that_was_spared_is_collected_later() -> None:
    """Freezing again finds cycles that were alive at the previous call."""

    class Node:
        other: object

    node = Node()
    node.other = node
    reference = weakref.ref(node)
    tune_gc()
    del node
    tune_gc()
    assert reference() is None


def test_slopes_do_not_hold_themselves() -> None:
    """A compiled function of a model is freed with it."""
    gc.disable()
    try:
        log_odds = LogOdds(("legitimate", "abuse"))
        slopes = log_odds.slopes([0.0, 0.0], [1.0, -1.0])
        assert np.isfinite(slopes).all()
        reference = weakref.ref(log_odds)
        del log_odds
        assert reference() is None
    finally:
        gc.enable()


def _total(metric: object, suffix: str) -> float:
    samples = (sample for family in metric.collect() for sample in family.samples)  # type: ignore[attr-defined]
    return float(sum(sample.value for sample in samples if sample.name.endswith(suffix)))


class _Names(tuple[str, ...]):
    """Names of extras that yield to another thread while hashed: between reading a count and writing it back."""

    def __hash__(self) -> int:
        time.sleep(0)
        return super().__hash__()


def test_no_order_is_lost_between_threads() -> None:
    """Orders counted by several threads while others update the metrics are all counted, once."""
    metrics, threads, orders = ScoreMetrics(), 4, 500
    before = _total(ORDERS, "_total"), _total(SCORES, "_count"), UNKNOWN.labels("order_amount")._value.get()
    bit = 1 << OPTIONAL.index("order_amount")
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        ready = threading.Barrier(threads)

        def count() -> None:
            ready.wait()
            for number in range(orders):
                metrics(bit, 0.5, _Names())
                if number % 7 == 0:
                    metrics.flush()

        working = [threading.Thread(target=count) for _ in range(threads)]
        for thread in working:
            thread.start()
        for thread in working:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    metrics.flush()
    after = _total(ORDERS, "_total"), _total(SCORES, "_count"), UNKNOWN.labels("order_amount")._value.get()
    assert [now - then for now, then in zip(after, before, strict=True)] == [threads * orders] * 3


def test_a_challenger_that_fails_does_not_fail_the_answer(small: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    """The serving model's answer is returned; the failure is counted per order and logged once, without the order."""
    service = ScoringService()
    service.serve(small)
    service.challenge(small.with_version("broken"))
    challenger = service._challenger
    assert challenger is not None

    def fail(transaction: Transaction) -> float:
        raise KeyError(transaction.user_id)

    challenger.score = fail  # type: ignore[method-assign]
    order = message()
    order.user_id = "a-name-of-a-person"
    failures, compared = CHALLENGER_FAILURES._value.get(), _total(DIFFERENCES, "_count")
    wanted = Scorer(small).predict(order)
    for _ in range(3):
        assert asyncio.run(service.Predict(pb.PredictRequest(transaction=order), None)) == wanted  # type: ignore[arg-type]
    assert CHALLENGER_FAILURES._value.get() == failures + 3
    assert _total(DIFFERENCES, "_count") == compared
    output = "".join(capsys.readouterr())
    assert output.count("challenger failed") == 1
    assert "a-name-of-a-person" not in output


def test_a_reader_has_no_cycle(small: Bundle) -> None:
    """The names of a compiled reader do not refer back to it."""
    reader = compile_reader(small.features, small.form)
    assert reader not in reader.__globals__.values()
    assert reader(message()) is not None
