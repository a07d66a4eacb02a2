"""The use case: a transaction in, a score with its reasons out. No transport, no I/O."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from contract.abuse_types import ABUSE_TYPES
from contract.thresholds import LEGITIMATE_FROM
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.message_columns import MessageColumns
from ml_server.features.sources import Fields
from ml_server.model.explain import Explainer
from ml_server.registry.bundle import Bundle
from ml_server.registry.table_scores import calibrated

Watch = Callable[[Fields, float, Sequence[str]], None]
"""Told the fields and the score of every order, and which extras it lacked."""


def ignore(fields: Fields, score: float, unknown_extras: Sequence[str]) -> None:
    """Watch nothing."""


class Scorer:
    """Scores transactions with one model."""

    def __init__(self, bundle: Bundle, watch: Watch = ignore) -> None:
        self.bundle = bundle
        self._watch = watch
        self._features = bundle.features
        self._form = bundle.form
        self._log_odds = bundle.log_odds
        self._explainer = Explainer(bundle.features.features)
        self._calibrated = bundle.calibration.score

    def score(self, transaction: Transaction) -> float:
        """The legitimacy score alone; nobody is told of it."""
        scores = self._form.scores_of_one(self._features.vector(transaction))
        return self._calibrated(self._log_odds.of(scores), self.bundle.prior_shift)

    def predict(self, transaction: Transaction, explain: bool = False) -> pb.PredictResponse:
        """Score one transaction; `explain` adds reasons and the contributions that sum to the raw score."""
        fields = self._features.fields(transaction)
        vector = self._features.of_fields(fields)
        bins = self._form.bins_of_one(vector)
        scores = self._form.scores_of_bins(bins)
        score = self._calibrated(self._log_odds.of(scores), self.bundle.prior_shift)
        response = pb.PredictResponse()
        self._fill(response, transaction.transaction_id, score, scores)
        self._tell(response, fields, score)
        if explain:
            slopes = self._log_odds.slopes(self._form.base, scores)
            self._explain(response, self._form.contributions_of_bins(bins, slopes), scores, vector, fields)
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
        fields = [self._features.fields(transaction) for transaction in transactions]
        matrix = self._features.matrix(MessageColumns(fields))
        by_class = self._form.scores(matrix)
        legitimacy = calibrated(self.bundle, by_class).tolist()
        rows = by_class.tolist()
        for response, known, score, scores in zip(responses, fields, legitimacy, rows, strict=True):
            self._fill(response, known.get("transaction_id", ""), score, scores)
            self._tell(response, known, score)
        if explain:
            slopes = np.array([self._log_odds.slopes(self._form.base, scores) for scores in rows])
            contributions = self._form.contributions(matrix, slopes)
            for told in zip(responses, contributions, rows, matrix.tolist(), fields, strict=True):
                self._explain(*told)
        return responses

    def _tell(self, response: pb.PredictResponse, fields: Fields, score: float) -> None:
        """Say which extras were unknown, in the answer and to whoever watches."""
        unknown = self._features.unknown_extras(fields)
        if unknown:
            response.unknown_extras.extend(unknown)
        self._watch(fields, score, unknown)

    def _explain(
        self,
        response: pb.PredictResponse,
        contributions: NDArray[np.float64],
        scores: list[float],
        vector: list[float],
        fields: Fields,
    ) -> None:
        balanced = self._log_odds.balanced(contributions, self._form.base, scores)
        response.reasons.extend(self._explainer.reasons(vector, balanced, fields))
        response.explanation.CopyFrom(self._explainer.explain(balanced))

    def _fill(self, response: pb.PredictResponse, transaction_id: str, score: float, scores: list[float]) -> None:
        """The answer for a calibrated score and the scores of the classes."""
        response.transaction_id = transaction_id
        response.legitimacy_score = score
        response.prediction = pb.PREDICTION_LEGITIMATE if score >= LEGITIMATE_FROM else pb.PREDICTION_FRAUD
        response.confidence = max(score, 1 - score)
        response.model_version = self.bundle.version
        if shares := self._log_odds.abuse_type_shares(scores):
            by_type, abuse = response.abuse_type_scores, 1 - score
            for name, share in zip(ABUSE_TYPES, shares, strict=True):
                setattr(by_type, name, abuse * share)
