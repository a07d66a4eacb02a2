"""`vouch.Model`: the scorer's model with scikit-learn's interface. The artifact `fraud_model.joblib` is this model too."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import joblib
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from contract.abuse_types import ABUSE_TYPES
from contract.fields import REQUIRED
from contract.messages import messages
from contract.thresholds import LEGITIMATE_FROM
from generated.vouch.v1 import scoring_service_pb2 as pb
from ml_server.data.datasets import drop_unlabelled
from ml_server.data.mapping import FieldMapping, Report, apply, read_mapping
from ml_server.estimator.frames import Frame, like, to_arrow, to_orders
from ml_server.evaluation.figures import against_limit, exact_confidence, figures, intervals
from ml_server.features.feature_set import Extra
from ml_server.registry.bundle import METADATA, Bundle
from ml_server.registry.origin import with_origin
from ml_server.registry.store import load, save
from ml_server.registry.table_scores import legitimacy
from ml_server.serving.scorer import Scorer
from ml_server.training.labels import abuse_of, optional_weights
from ml_server.training.parameters import Parameters
from ml_server.training.train import train

LABEL, CONFIDENCE = "is_abuse", "abuse_confidence"
ARTIFACT = "fraud_model.joblib"
_EXPLAINED_AT_ONCE = 1000


class Model(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A calibrated model of abuse, as the scorer serves it.

    `X` is always a frame of pandas, polars or Arrow with the documented columns, one row for each order; with a `mapping`, a
    frame of pandas with the columns of your shop. What is missing or null is unknown. Scores are those of the service, to the
    bit. Classes are False (legitimate) and True (abuse).

    Parameters are those of `vouch train`:

    form: "auto", "tables" or "trees".
    rounds: limit of the rounds of boosting.
    target: "hard" learns is_abuse and abuse_type, "soft" abuse_confidence.
    prevalence: share of abuse in your shop, where it differs from that of the rows.
    holdout: share of the rows, the last in time, that figures in `metrics_` are measured on.
    seed: same rows and seed, same model.
    mapping: path of a mapping file, or what `read_mapping` returns.
    """

    __module__ = "vouch"  # pickles name the stable API, not where it is implemented

    def __init__(
        self,
        *,
        form: str = "auto",
        rounds: int = 3000,
        target: str = "hard",
        prevalence: float | None = None,
        holdout: float = 0.15,
        seed: int = 42,
        mapping: str | Path | FieldMapping | None = None,
    ) -> None:
        self.form, self.rounds, self.target, self.prevalence = form, rounds, target, prevalence
        self.holdout, self.seed, self.mapping = holdout, seed, mapping

    @classmethod
    def load(cls, path: str | Path = "models/current") -> Self:
        """Return a model from its folder, or the current one of a folder of models.

        Raises ArtifactError where files are missing, or were changed since they were written.
        """
        folder = Path(path)
        folder = folder.resolve() if (folder / METADATA).is_file() else (folder / "current").resolve()
        bundle = load(folder.parent, folder.name)
        known = cls().get_params()
        model = cls(**{name: value for name, value in bundle.metadata.parameters.items() if name in known})
        return model._learned(bundle, {})

    @classmethod
    def train(cls, frame: Frame, **parameters: Any) -> Self:
        """Return a model trained on a frame that has the label is_abuse, and abuse_type where it is known.

        Raises TrainingError where the labels allow no model, ValueError where a value cannot be read.
        """
        return cls(**parameters).fit(frame)

    def fit(self, X: Frame, y: Any = None) -> Self:  # noqa: N803  scikit-learn's names
        """Train on a frame. `y` says of each row whether it is abuse (bool or 0 and 1); without it the frame's label does."""
        mapping = self._mapping()
        table = self._labelled_orders(X, y, mapping)
        parameters = Parameters(
            seed=self.seed, target=self.target, form=self.form, prevalence=self.prevalence, holdout=self.holdout,
            rounds=self.rounds,
        )  # fmt: skip
        trained = train(table, parameters, mapping.extra if mapping else None)
        bundle = with_origin(
            trained.bundle, name="frame", rows=table.num_rows, abuse_rate=float(abuse_of(table).mean()),
            digest=_digest(table),
        )  # fmt: skip
        return self._learned(bundle, trained.notebook_files)

    def predict_proba(self, X: Frame) -> NDArray[np.float64]:  # noqa: N803
        """Return the probabilities of legitimacy and of abuse, shape (rows, 2)."""
        scores = self.legitimacy_scores(X)
        return np.column_stack([scores, 1 - scores])

    def predict(self, X: Frame) -> NDArray[np.bool_]:  # noqa: N803
        """Return whether each order is abuse, by the score 0.5, shape (rows,)."""
        return self.legitimacy_scores(X) < LEGITIMATE_FROM

    def legitimacy_scores(self, X: Frame) -> NDArray[np.float64]:  # noqa: N803
        """Return the legitimacy scores of the service, shape (rows,)."""
        table = self._orders(X, labelled=False, mapping=self._mapping())
        return legitimacy(self._bundle, table)

    def abuse_type_scores(self, X: Frame) -> Frame:  # noqa: N803
        """Return a frame like `X` with the probability of each type of abuse."""
        rows = [
            {name: getattr(answer.abuse_type_scores, name) for name in ABUSE_TYPES}
            for answer in self._answers(X, pb.EXPLAIN_LEVEL_NONE)
        ]
        return like(X, pa.Table.from_pylist(rows, pa.schema([(name, pa.float64()) for name in ABUSE_TYPES])))

    def explain(self, X: Frame) -> Frame:  # noqa: N803
        """Return a frame like `X`: score, base value, contribution of each feature, and the reasons as sentences.

        Contributions are in log-odds of legitimacy. They and the base value sum to the score before calibration.
        """
        rows: list[dict[str, Any]] = [
            {
                "transaction_id": answer.transaction_id,
                "legitimacy_score": answer.legitimacy_score,
                "base_value": answer.explanation.base_value,
                **{name: answer.explanation.contributions[name] for name in self.feature_names_},
                "reasons": [reason.sentence for reason in answer.reasons],
            }
            for answer in self._answers(X, pb.EXPLAIN_LEVEL_FULL)
        ]
        return like(X, pa.Table.from_pylist(rows))

    def evaluate(self, X: Frame, y: Any = None) -> dict[str, Any]:  # noqa: N803
        """Return the figures of `vouch evaluate` on labelled orders: values, 95 % intervals, and the limits of the data.

        A name with `_interval` has a pair of numbers. Limits are there where the frame has abuse_confidence in each row.
        """
        table = self._labelled_orders(X, y, self._mapping())
        scores, is_abuse, weights = legitimacy(self._bundle, table), abuse_of(table), optional_weights(table)
        found: dict[str, Any] = dict(figures(scores, is_abuse, weights))
        found |= {f"{name}_interval": both for name, both in intervals(scores, is_abuse, weights).items()}
        if (confidence := exact_confidence(table)) is not None:
            found |= against_limit(scores, is_abuse, confidence, weights)
        return found

    def save(self, models: str | Path = "models") -> Path:
        """Write the model into a folder of models and return its own folder; the first one there becomes the current one."""
        return save(Path(models), self._bundle, {**self._notebook_files, **artifact(self._bundle)})

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether the model can score."""
        return hasattr(self, "bundle_")

    def __getstate__(self) -> dict[str, Any]:
        """Return the parameters and the files of the model, whose formats later versions of this software read or refuse."""
        files: dict[str, bytes] = {}
        if self.__sklearn_is_fitted__():
            files = self._bundle.files() | {METADATA: self._bundle.metadata.dump({}).encode()}
        return {"parameters": self.get_params(), "files": files, "notebook_files": getattr(self, "_notebook_files", {})}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Restore a model. Raises ArtifactError for the files of another version of this software."""
        self.__dict__.update(state["parameters"])
        if files := state["files"]:
            self._learned(Bundle.parse(files.__getitem__), state["notebook_files"])

    def _learned(self, bundle: Bundle, notebook_files: Mapping[str, bytes]) -> Self:
        self.bundle_, self._notebook_files = bundle, notebook_files
        self.classes_ = np.array([False, True])
        self.version_, self.metrics_ = bundle.version, dict(bundle.metadata.metrics)
        self.feature_names_ = list(bundle.features.names)
        return self

    @property
    def _bundle(self) -> Bundle:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("this model is not trained yet; call fit, Model.train or Model.load")
        bundle: Bundle = self.bundle_
        return bundle

    def _mapping(self) -> FieldMapping | None:
        return read_mapping(Path(self.mapping)) if isinstance(self.mapping, str | Path) else self.mapping

    def _orders(self, frame: Frame, *, labelled: bool, mapping: FieldMapping | None) -> pa.Table:
        if mapping is not None:
            report = Report()
            table = apply(mapping if labelled else mapping.without_label(), to_arrow(frame).to_pandas(), report)
            return drop_unlabelled(table, report) if labelled else table
        extra = self.bundle_.features.extra if self.__sklearn_is_fitted__() else Extra()
        types = dict.fromkeys(extra.numeric, pa.float64()) | dict.fromkeys(extra.categorical, pa.string())
        return to_orders(frame, required=(*REQUIRED, LABEL) if labelled else REQUIRED, extra=types)

    def _labelled_orders(self, frame: Frame, y: Any, mapping: FieldMapping | None) -> pa.Table:
        """Return orders with the labels of `y`; with those of the frame if it is None."""
        table = self._orders(frame, labelled=y is None, mapping=mapping)
        return table if y is None else _with_label(table, y)

    def _answers(self, frame: Frame, level: int) -> Iterator[pb.PredictResponse]:
        table = self._orders(frame, labelled=False, mapping=self._mapping())
        scorer = Scorer(self._bundle)
        for first in range(0, table.num_rows, _EXPLAINED_AT_ONCE):
            yield from scorer.predict_batch(list(messages(table.slice(first, _EXPLAINED_AT_ONCE))), level)


def artifact(bundle: Bundle) -> dict[str, bytes]:
    """Return the workshop's artifact: the calibrated model as a pickled `vouch.Model`. Serving never reads it."""
    known = Model().get_params()
    model = Model(**{name: value for name, value in bundle.metadata.parameters.items() if name in known})
    buffer = io.BytesIO()
    joblib.dump(model._learned(bundle, {}), buffer)
    return {ARTIFACT: buffer.getvalue()}


def _with_label(table: pa.Table, y: Any) -> pa.Table:
    """Return a table labelled by `y` alone. Raises ValueError where its length or a value is wrong."""
    values = np.asarray(y)
    if values.shape != (table.num_rows,):
        raise ValueError(f"y needs one value for each of the {table.num_rows:,} rows, its shape is {values.shape}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError("y needs False and True, or 0 and 1; 1 is abuse")
    others = [name for name in (LABEL, "abuse_type", CONFIDENCE) if name in table.column_names]
    return table.drop_columns(others).append_column(LABEL, pa.array(values.astype(bool)))


def _digest(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return hashlib.sha256(sink.getvalue()).hexdigest()
