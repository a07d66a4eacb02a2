"""The use case: a transaction in, a score with its reasons out. No transport, no I/O."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import Model
from ml_server.batch import MessageColumns
from ml_server.explain import explanation, reasons
from ml_server.inputs import Fields, fields_of

LEGITIMATE_FROM = 0.5
Watch = Callable[[Fields, float], None]
"""Told the fields and the score of every order."""


def ignore(fields: Fields, score: float) -> None:
    """Watch nothing."""


class Scorer:
    """Scores transactions with one model."""

    def __init__(self, model: Model, watch: Watch = ignore) -> None:
        self.model = model
        self._watch = watch
        self._features = model.features
        self._additive = model.additive
        self._classes = model.classes
        self._calibrated = model.calibration.score

    def predict(self, transaction: Transaction, explain: bool = False) -> pb.PredictResponse:
        """Score one transaction; `explain` adds reasons and the contributions that sum to the raw score."""
        fields = fields_of(transaction)
        vector = self._features.of_fields(fields)
        scores = self._additive.one(vector)
        score = self._calibrated(self._classes.raw(scores), self.model.prior_shift)
        response = pb.PredictResponse()
        self._fill(response, transaction.transaction_id, score, scores)
        self._watch(fields, score)
        if explain:
            slopes = self._classes.slopes(self._additive.base, scores)
            self._explain(response, self._additive.one_earned(vector, slopes), scores, vector, fields)
        return response

    def predict_batch(
        self,
        transactions: Sequence[Transaction],
        explain: bool = False,
        responses: Sequence[pb.PredictResponse] | None = None,
    ) -> Sequence[pb.PredictResponse]:
        """Score many transactions in columns: the same answers as one by one, into `responses` where they are given."""
        if responses is None:
            responses = [pb.PredictResponse() for _ in transactions]
        fields = [fields_of(each) for each in transactions]
        matrix = self._features.matrix(MessageColumns(fields))
        by_class = self._additive.many(matrix)
        legitimacy = self.model.calibration.scores(self._classes.raws(by_class), self.model.prior_shift).tolist()
        rows = by_class.tolist()
        for response, known, score, scores in zip(responses, fields, legitimacy, rows, strict=True):
            self._fill(response, known.get("transaction_id", ""), score, scores)
            self._watch(known, score)
        if explain:
            slopes = np.array([self._classes.slopes(self._additive.base, scores) for scores in rows])
            earned = self._additive.many_earned(matrix, slopes)
            for each in zip(responses, earned, rows, matrix.tolist(), fields, strict=True):
                self._explain(*each)
        return responses

    def _explain(
        self,
        response: pb.PredictResponse,
        earned: NDArray[np.float64],
        scores: list[float],
        vector: list[float],
        fields: Fields,
    ) -> None:
        contributions = self._classes.settled(earned, self._additive.base, scores)
        response.reasons.extend(reasons(self._features.features, vector, contributions, fields))
        response.explanation.CopyFrom(explanation(self._features.features, contributions))

    def _fill(self, response: pb.PredictResponse, transaction_id: str, score: float, scores: list[float]) -> None:
        """The answer for a calibrated score and the scores of the classes."""
        response.transaction_id = transaction_id
        response.legitimacy_score = score
        response.prediction = pb.PREDICTION_LEGITIMATE if score >= LEGITIMATE_FROM else pb.PREDICTION_FRAUD
        response.confidence = max(score, 1 - score)
        response.model_version = self.model.version
        if shares := self._classes.type_shares(scores):
            types, abuse = response.abuse_type_scores, 1 - score
            types.fake_account, types.account_takeover, types.payment_fraud = [abuse * share for share in shares]
