"""Extras in files and in the scorer: types, unknown names, and refused files."""

import asyncio
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.registry.store import load
from ml_server.serving.metrics import UNKNOWN, ScoreMetrics
from ml_server.serving.scorer import Scorer
from ml_server.serving.service import ScoringService
from runtime.errors import InvalidRequest
from testing.inputs import hostile
from testing.servers.processes import call
from tests.services.extras.conftest import first_orders


def test_a_file_with_the_other_type_gets_the_same_scores(foreign: Path, tmp_path: Path) -> None:
    """`vouch score` reads a text column as numbers and a number column as texts, with the scores of the services."""
    scorer = Scorer(load(foreign / "models"))
    common = ("--mapping", str(foreign / "mapping.yaml"), "--models-dir", str(foreign / "models"))
    frame = pd.read_parquet(foreign / "orders.parquet").head(len(hostile.EXTRA_TYPES))
    order = first_orders(foreign)[0]
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


def test_missing_extras_are_counted_and_explained(foreign: Path) -> None:
    """A missing extra is counted by its name; names with dots are unchanged in reasons."""
    metrics = ScoreMetrics()
    service = ScoringService(metrics)
    service.serve(load(foreign / "models"))
    order = first_orders(foreign)[0]
    order.extra_texts["Basket.kind"] = "a"
    order.extra_numbers.pop("v2", None)
    before = UNKNOWN.labels("v2")._value.get()
    request = pb.PredictRequest(transaction=order, explain=True)
    answer = asyncio.run(service.Predict(request, None))  # type: ignore[arg-type]
    metrics.flush()
    assert UNKNOWN.labels("v2")._value.get() == before + 1
    assert answer.reasons
    assert not any("{" in reason.sentence for reason in answer.reasons)


def test_strict_servers_refuse_what_no_model_reads(foreign: Path) -> None:
    """With VOUCH_ML_STRICT_EXTRAS a name that the model does not read is refused, alone and in batches."""
    service = ScoringService(strict_extras=True)
    service.serve(load(foreign / "models"))
    order = first_orders(foreign)[0]
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
        assert "does not read this extra" in str(caught.value)


def test_files_that_do_not_fit_the_model_are_refused(foreign: Path, tmp_path: Path) -> None:
    """A mapping without the model's extras, or a table with almost none of its columns, is an error that names them."""
    known = ["--models-dir", str(foreign / "models"), "--output", str(tmp_path / "s.csv")]
    (tmp_path / "less.yaml").write_text((foreign / "mapping.yaml").read_text().replace('"v1", ', ""))
    done = call("score", str(foreign / "orders.parquet"), "--mapping", str(tmp_path / "less.yaml"), *known)
    assert (done.returncode, "numeric extra v1;" in done.stderr) == (2, True), done.stderr
    (tmp_path / "bare.csv").write_text("transaction_id,timestamp,user_id,colour\na,2025-01-01 10:00:00,u,red\n")
    done = call("score", str(tmp_path / "bare.csv"), *known)
    assert (done.returncode, "almost nothing" in done.stderr) == (2, True), done.stderr
    assert load(foreign / "models").version in done.stderr
