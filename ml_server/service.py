"""ScoringService: the thin gRPC edge around the scorer."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

import grpc

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import Model
from ml_server.scorer import Scorer, Watch, ignore
from runtime.errors import MOST_VIOLATIONS, InvalidRequest, Overloaded, Unavailable, to_status
from runtime.validation import accepting, violations

_accepts = accepting(Transaction.DESCRIPTOR)
Context = grpc.aio.ServicerContext[Any, Any]


class ScoringService:
    """Answers with the scorer it holds; UNAVAILABLE while it holds none."""

    def __init__(self, watch: Watch = ignore, max_batches: int = 4) -> None:
        self._scorer: Scorer | None = None
        self._watch = watch
        self._batches, self._max_batches = 0, max_batches
        self._thread = ThreadPoolExecutor(1, "batch")

    def serve(self, model: Model) -> None:
        """Answer with this model from now on: one assignment, so that each answer is made by one model."""
        self._scorer = Scorer(model, self._watch)

    @property
    def version(self) -> str:
        """Version of the model that answers; empty where there is none."""
        return self._scorer.model.version if self._scorer else ""

    def _ready(self) -> Scorer:
        if self._scorer is None:
            raise Unavailable(
                "the scorer has no model: run `vouch train`", reason=ErrorReason.ERROR_REASON_MODEL_NOT_LOADED
            )
        return self._scorer

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        """Score one transaction."""
        return self._ready().predict(request.transaction, request.explain)

    async def PredictBatch(self, request: pb.PredictBatchRequest, context: Context) -> pb.PredictBatchResponse:
        """Score many transactions in columns; a bad one fails alone or fails the call, as the request chooses.

        Checked and scored in a thread, so that single requests do not wait for a batch; no more batches than are soon done.
        """
        scorer = self._ready()
        if self._batches >= self._max_batches:
            raise Overloaded("too many batches are in flight: try again in a second")
        self._batches += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, answer_batch, scorer, request)
        finally:
            self._batches -= 1

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, context: Context) -> pb.GetModelInfoResponse:
        """Describe the model that is serving."""
        return model_info(self._ready().model)


def answer_batch(scorer: Scorer, request: pb.PredictBatchRequest) -> pb.PredictBatchResponse:
    """The results of a batch. Raises InvalidRequest where it holds bad transactions that are not to fail alone."""
    orders = list(request.transactions)
    problems = {
        place: found for place, order in enumerate(orders) if not _accepts(order) and (found := violations(order))
    }
    if problems and request.error_policy != pb.BATCH_ERROR_POLICY_FAIL_ITEM:
        all_found = ((place, *each) for place, found in problems.items() for each in found)
        told = [(f"transactions[{place}].{field}", text) for place, field, text in islice(all_found, MOST_VIOLATIONS)]
        raise InvalidRequest(told, more=sum(map(len, problems.values())) - len(told))
    response = pb.PredictBatchResponse()
    # Filled where they stand: each copy of an answer would cost a tenth of its making.
    results = [response.results.add(index=place) for place in range(len(orders))]
    good = [place for place in range(len(orders)) if place not in problems]
    if good:
        answers = [results[place].prediction for place in good]
        scorer.predict_batch([orders[place] for place in good], request.explain, answers)
    for place, found in problems.items():
        results[place].error.CopyFrom(to_status(InvalidRequest(found)))
    return response


def model_info(model: Model) -> pb.GetModelInfoResponse:
    """What the metadata says of a model."""
    metadata = model.metadata
    response = pb.GetModelInfoResponse(
        model_version=model.version,
        n_features=len(model.features.names),
        feature_names=model.features.names,
        model_classes=model.classes.names,
        metrics=metadata["metrics"],
        dataset=pb.Dataset(**metadata["dataset"]),
    )
    response.training_date.FromJsonString(metadata["training_date"])
    return response
