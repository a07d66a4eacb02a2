"""ScoringService: the gRPC adapter of the scorer."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from enrichment.money import Money
from enrichment.rate_files import read_money
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.registry.bundle import Bundle
from ml_server.serving.metrics import CHALLENGER_FAILURES, watch_challenger
from ml_server.serving.model_report import ModelReports
from ml_server.serving.scorer import FULL, NONE, Scorer, Watch, ignore
from runtime.errors import MAX_VIOLATIONS, InvalidRequest, Overloaded, Unavailable, to_status
from runtime.jobs import in_maintenance_thread
from runtime.rpc.call import Call
from runtime.rpc.guard import self_validating
from runtime.telemetry.logging import get_logger
from runtime.telemetry.tracebacks import traceback_frames
from runtime.validation.checks import check, violations

_LEVEL = {False: NONE, True: FULL}  # levels of the older field `explain`
_log = get_logger()


class ScoringService:
    """Answers with the current scorer; UNAVAILABLE if there is none.

    A second one, the challenger, may score the same single orders; its scores only go to metrics.
    """

    def __init__(
        self, watch: Watch = ignore, max_batches: int = 4, *, strict_extras: bool = False, models: Path = Path(),
        money: Money | None = None,
    ) -> None:  # fmt: skip
        """`money` has the base currency and the rates, by default those that ship with Vouch. `strict_extras` rejects
        orders with an extra that the model does not read; otherwise it is ignored.

        `models` is the folder whose versions a report lists.
        """
        self._reports = ModelReports(models)
        self._scorer: Scorer | None = None
        self._challenger: Scorer | None = None
        self._failed = ""  # version of the last challenger that failed
        self._watch, self._strict = watch, strict_extras
        self._money = money or read_money()
        self._batches, self._max_batches = 0, max_batches
        self._thread = ThreadPoolExecutor(1, "batch")

    def serve(self, bundle: Bundle) -> None:
        """Serve this model from now on. It is a single assignment, so each response comes from one model."""
        self._scorer = Scorer(bundle, self._watch)

    def challenge(self, bundle: Bundle | None) -> None:
        """Let this model score in parallel; None for no challenger."""
        self._challenger = Scorer(bundle) if bundle else None

    @property
    def version(self) -> str:
        """Version of the model that serves; empty if there is none."""
        return self._scorer.bundle.version if self._scorer else ""

    @property
    def challenger_version(self) -> str:
        """Version of the challenger; empty if there is none."""
        return self._challenger.bundle.version if self._challenger else ""

    def _ready(self) -> Scorer:
        if self._scorer is None:
            raise Unavailable(
                "scorer has no model; run `vouch train`", reason=ErrorReason.ERROR_REASON_MODEL_NOT_LOADED
            )
        return self._scorer

    @self_validating
    async def Predict(self, request: pb.PredictRequest, call: Call) -> pb.PredictResponse:
        """Score one transaction."""
        scorer = self._ready()
        order = self._money.to_base(request.transaction)
        reading = scorer.read_accepted(order)
        level = request.explain_level
        if reading is None or not 0 <= level <= FULL:
            check(request)
            if wrong := scorer.wrong_extras(request.transaction):
                raise InvalidRequest([(f"transaction.{path}", text) for path, text in wrong])
        if self._strict and (unread := unread_extras(scorer, request.transaction)):
            raise InvalidRequest([(f"transaction.{path}", text) for path, text in unread])
        response = scorer.predict(order, level or _LEVEL[request.explain], reading)
        self._score_by_challenger(order, response.legitimacy_score)
        return response

    def _score_by_challenger(self, transaction: Transaction, answered: float) -> None:
        """Record the challenger's score in metrics. Its errors never affect the response."""
        challenger = self._challenger
        if challenger is None:
            return
        try:
            watch_challenger(answered, challenger.score(transaction))
        except Exception as error:
            CHALLENGER_FAILURES.inc()
            if self._failed != challenger.bundle.version:  # log once for each model: it may fail for every order
                self._failed = challenger.bundle.version
                _log.error(
                    "challenger failed",
                    model_version=self._failed,
                    error=type(error).__name__,
                    where=traceback_frames(error),
                )

    async def PredictBatch(self, request: pb.PredictBatchRequest, call: Call) -> pb.PredictBatchResponse:
        """Score many transactions in columns; an invalid one fails alone or fails the call, as requested.

        Batches are checked and scored in a thread, so that single requests do not wait for them, and their number is
        limited.
        """
        scorer = self._ready()
        if self._batches >= self._max_batches:
            raise Overloaded("too many batches in flight; retry in a second")
        self._batches += 1
        future = self._thread.submit(answer_batch, scorer, request, self._strict, self._money)
        loop = asyncio.get_running_loop()
        # Called when the thread is done, which may be long after the caller has disconnected.
        future.add_done_callback(lambda _: self._batch_done(loop))
        return await asyncio.wrap_future(future)

    def _batch_done(self, loop: asyncio.AbstractEventLoop) -> None:
        def release() -> None:
            self._batches -= 1

        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(release)

    async def GetModelInfo(self, request: pb.GetModelInfoRequest, call: Call) -> pb.GetModelInfoResponse:
        """Describe the model that serves."""
        return model_info(self._ready().bundle)

    async def GetModelReport(self, request: pb.GetModelReportRequest, call: Call) -> pb.GetModelReportResponse:
        """Report what the model has learned; in a thread, since it reads files and large tables."""
        return await in_maintenance_thread(self._reports.of, self._ready().bundle)


def unread_extras(scorer: Scorer, transaction: Transaction) -> list[tuple[str, str]]:
    """Return path and description of every extra that the model does not read."""
    unread = scorer.bundle.features.extra.unread(transaction)
    return [(path, f"model {scorer.bundle.version} does not read this extra; remove it") for path in unread]


def answer_batch(
    scorer: Scorer, request: pb.PredictBatchRequest, strict_extras: bool = False, money: Money | None = None
) -> pb.PredictBatchResponse:
    """Return the results of a batch. Raises InvalidRequest for invalid transactions, unless they are to fail alone."""
    orders = list(map((money or read_money()).to_base, request.transactions))
    readings, problems = list(map(scorer.read_accepted, orders)), dict[int, list[tuple[str, str]]]()
    for index, (order, reading) in enumerate(zip(orders, readings, strict=True)):
        if reading is not None:
            continue
        if broken := violations(order) or scorer.wrong_extras(order):
            problems[index] = broken
        else:
            readings[index] = scorer.read(order)
    if strict_extras:
        unread = {index: unread_extras(scorer, order) for index, order in enumerate(orders) if index not in problems}
        problems |= {index: broken for index, broken in unread.items() if broken}
    if problems and request.error_policy != pb.BATCH_ERROR_POLICY_FAIL_ITEM:
        all_broken = ((index, *violation) for index, broken in problems.items() for violation in broken)
        listed = [(f"transactions[{index}].{field}", text) for index, field, text in islice(all_broken, MAX_VIOLATIONS)]
        raise InvalidRequest(listed, more=sum(map(len, problems.values())) - len(listed))
    response = pb.PredictBatchResponse()
    # Filled in place: copying a response would take a tenth of the time of computing it.
    results = [response.results.add(index=index) for index in range(len(orders))]
    good = [index for index in range(len(orders)) if index not in problems]
    if good:
        answers = [results[index].prediction for index in good]
        read = [reading for index in good if (reading := readings[index])]
        level = request.explain_level or _LEVEL[request.explain]
        scorer.predict_batch([orders[index] for index in good], level, answers, read)
    for index, broken in problems.items():
        error = InvalidRequest(broken)
        results[index].error.CopyFrom(to_status(error))
        if index < len(request.request_ids):
            _log.warning("order of a batch failed", request_id=request.request_ids[index], metadata=error.metadata)
    return response


def model_info(bundle: Bundle) -> pb.GetModelInfoResponse:
    """Return the metadata of a model."""
    metadata = bundle.metadata
    response = pb.GetModelInfoResponse(
        model_version=bundle.version,
        n_features=len(bundle.features.names),
        feature_names=bundle.features.names,
        model_classes=bundle.log_odds.classes,
        metrics=metadata.metrics,
        dataset=pb.Dataset(**metadata.dataset),
        extra_numbers=bundle.features.extra.numeric,
        extra_texts=bundle.features.extra.categorical,
    )
    response.training_date.FromJsonString(metadata.training_date)
    return response
