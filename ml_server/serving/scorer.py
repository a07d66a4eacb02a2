"""Use case: return a score with its reasons for a transaction. No transport, no I/O."""

from collections.abc import Callable, Sequence

import numpy as np

from contract.abuse_types import ABUSE_TYPES
from contract.thresholds import LEGITIMATE_FROM
from generated.vouch.v1 import scoring_service_pb2 as pb
from generated.vouch.v1.transaction_pb2 import Transaction
from ml_server.features.sources import Fields
from ml_server.model.explain import Explainer
from ml_server.registry.bundle import Bundle
from ml_server.serving.reader import Reader, Reading, absent_bits, compile_reader

NONE, FULL = pb.EXPLAIN_LEVEL_NONE, pb.EXPLAIN_LEVEL_FULL
Watch = Callable[[int, float, Sequence[str]], None]
"""Called for every order with its missing fields, as bits of OPTIONAL, its score, and its missing extras."""


def ignore(absent: int, score: float, unknown_extras: Sequence[str]) -> None:
    """Do nothing."""


class Scorer:
    """Scores transactions with one model."""

    def __init__(self, bundle: Bundle, watch: Watch = ignore) -> None:
        self.bundle = bundle
        self._watch = watch
        self._features = bundle.features
        self._form = bundle.form
        self._log_odds = bundle.log_odds
        self._base = bundle.log_odds.of(bundle.form.base)
        self._explainer = Explainer(bundle.features.features)
        self._calibrate = bundle.calibration.score
        self.read_accepted: Reader = compile_reader(bundle.features, bundle.form)
        """Reads an order that is certainly valid; returns None for others."""

    def read(self, transaction: Transaction) -> Reading:
        """Read an order, which must be valid, by the operations."""
        fields = self._features.fields(transaction)
        groups = self._form.groups_of_row(self._features.vector_of_fields(fields))
        return groups, absent_bits(fields), self._features.unknown_extras(fields)

    def wrong_extras(self, transaction: Transaction) -> list[tuple[str, str]]:
        """Return path and description of every extra with a value that the model cannot read."""
        wrong = self._features.extra.read(transaction)[1]
        return [(path, f"{text}, as model {self.bundle.version} reads it") for path, text in wrong]

    def score(self, transaction: Transaction) -> float:
        """Return only the legitimacy score, without calling `watch`."""
        groups, _, _ = self.read_accepted(transaction) or self.read(transaction)
        return self._calibrate(self._log_odds.of(self._form.scores_of_groups(groups)), self.bundle.prior_shift)

    def predict(
        self, transaction: Transaction, level: int = NONE, reading: Reading | None = None
    ) -> pb.PredictResponse:
        """Score one transaction and explain it up to `level`, an ExplainLevel; `reading` avoids reading it again."""
        reading = reading or self.read_accepted(transaction) or self.read(transaction)
        scores = self._form.scores_of_groups(reading[0])
        response = pb.PredictResponse()
        raw = self._answer(response, transaction, reading, scores)
        if level > NONE:
            slopes = self._log_odds.slopes(self._form.base, scores)
            contributions = self._form.contributions_of_groups(reading[0], slopes)
            self._explain(response, contributions.tolist(), raw, self._features.fields(transaction), level)
        return response

    def predict_batch(
        self,
        transactions: Sequence[Transaction],
        level: int = NONE,
        responses: Sequence[pb.PredictResponse] | None = None,
        readings: Sequence[Reading] | None = None,
    ) -> Sequence[pb.PredictResponse]:
        """Score many transactions in columns, with the same results as one by one, into `responses` if given."""
        if responses is None:
            responses = [pb.PredictResponse() for _ in transactions]
        if readings is None:
            readings = [self.read_accepted(transaction) or self.read(transaction) for transaction in transactions]
        groups = np.array([groups for groups, _, _ in readings], dtype=np.intp).T
        rows = self._form.scores_of_many_groups(groups).tolist()
        raws = list(map(self._answer, responses, transactions, readings, rows))
        if level > NONE:
            fields = map(self._features.fields, transactions)
            slopes = np.array([self._log_odds.slopes(self._form.base, scores) for scores in rows])
            contributions = self._form.contributions_of_many_groups(groups, slopes).tolist()
            for explained in zip(responses, contributions, raws, fields, strict=True):
                self._explain(*explained, level)
        return responses

    def _explain(
        self, response: pb.PredictResponse, contributions: list[float], raw: float, fields: Fields, level: int
    ) -> None:
        balance = self._log_odds.balance(contributions, self._base, raw)
        self._explainer.add_reasons(balance, fields, response.reasons)
        response.explanation.CopyFrom(self._explainer.explain(balance, level == FULL))

    def _answer(
        self, response: pb.PredictResponse, transaction: Transaction, reading: Reading, scores: list[float]
    ) -> float:
        """Fill in the response for an order from its class scores, call `watch`, and return the raw log-odds."""
        _, absent, unknown = reading
        raw, shares = self._log_odds.with_shares(scores)
        score = self._calibrate(raw, self.bundle.prior_shift)
        response.transaction_id = transaction.transaction_id
        response.legitimacy_score = score
        response.prediction = pb.PREDICTION_LEGITIMATE if score >= LEGITIMATE_FROM else pb.PREDICTION_FRAUD
        response.confidence = max(score, 1 - score)
        response.model_version = self.bundle.version
        if shares:
            by_type, abuse = response.abuse_type_scores, 1 - score
            for name, share in zip(ABUSE_TYPES, shares, strict=True):
                setattr(by_type, name, abuse * share)
        if unknown:
            response.unknown_extras.extend(unknown)
        self._watch(absent, score, unknown)
        return raw
