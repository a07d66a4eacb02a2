"""The use case: a transaction in, a score with its reasons out. No transport, no I/O."""

import numpy as np

from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.artifacts import Model
from ml_server.explain import explanation, reasons
from ml_server.inputs import fields_of

LEGITIMATE_FROM = 0.5


class Scorer:
    """Scores transactions with one model. Not for two threads at once: the booster's buffers are shared."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._features = model.features
        self._booster = model.booster
        self._classes = model.classes
        self._calibrated = model.calibration.score

    def predict(self, transaction: Transaction, explain: bool = False) -> pb.PredictResponse:
        """Score one transaction; `explain` adds reasons and the contributions that sum to the raw score."""
        fields = fields_of(transaction)
        vector = self._features.of_fields(fields)
        scores = self._booster.one(vector)[:]
        score = self._calibrated(self._classes.raw(scores), self.model.prior_shift)
        response = self.respond(transaction.transaction_id, score, scores)
        if explain:
            flat = np.array(self._booster.one_contributions(vector))
            contributions = self._classes.contributions(flat.reshape(len(scores), -1)).tolist()
            response.reasons.extend(reasons(self._features.features, vector, contributions, fields))
            response.explanation.CopyFrom(explanation(self._features.features, contributions))
        return response

    def respond(self, transaction_id: str, score: float, scores: list[float]) -> pb.PredictResponse:
        """The answer for a calibrated score and the scores of the classes."""
        response = pb.PredictResponse(
            transaction_id=transaction_id,
            legitimacy_score=score,
            prediction=pb.PREDICTION_LEGITIMATE if score >= LEGITIMATE_FROM else pb.PREDICTION_FRAUD,
            confidence=max(score, 1 - score),
            model_version=self.model.version,
        )
        if shares := self._classes.type_shares(scores):
            types = response.abuse_type_scores
            types.fake_account, types.account_takeover, types.payment_fraud = [(1 - score) * share for share in shares]
        return response
