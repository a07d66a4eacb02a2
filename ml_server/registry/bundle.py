"""A complete model, and the formats of all its files: only this module reads and writes them.

terms.npz (tables) or trees.json (deeper trees)            the form of the model, read by serving
features.json calibration.json examples.json               features, calibration, golden examples
metadata.json                                              description and origin
"""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from ml_server.features.feature_set import Extra, FeatureSet
from ml_server.model.calibration import Calibration
from ml_server.model.form import Form
from ml_server.model.log_odds import LogOdds
from ml_server.model.tables.additive import Additive
from ml_server.model.tables.terms import Terms
from ml_server.model.trees.forest import Forest
from ml_server.model.trees.nodes import Trees

FEATURES, CALIBRATION, EXAMPLES, METADATA = "features.json", "calibration.json", "examples.json", "metadata.json"
SERVED = (FEATURES, CALIBRATION, EXAMPLES, METADATA)
"""Files of every model, besides the one of its form."""
TABLES, TREES = "tables", "trees"
_FILES = {TABLES: "terms.npz", TREES: "trees.json"}
Learned = Terms | Trees


class ArtifactError(Exception):
    """A model that cannot be loaded; the message names the file and the remedy."""


@dataclass(frozen=True)
class Metadata:
    """Description of a model: metrics of its held-out part, training data, parameters, libraries."""

    model_version: str
    training_date: str
    metrics: Mapping[str, float]
    dataset: Mapping[str, Any]
    classes: Sequence[str] = ()
    n_features: int = 0
    rounds: int = 0
    importance: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data_manifest: Any = None
    reliability: Sequence[Sequence[float]] = ()
    """Mean score, observed share of legitimate orders and number of rows, by bins of the held-out part's scores."""
    costs: Sequence[Sequence[float]] = ()
    """Approval threshold, mean cost of an order and share of reviews, on the held-out part."""
    libraries: Mapping[str, str] = field(default_factory=dict)
    base_currency: str = ""
    """Currency of all amounts that the model was trained on. Empty for older models, which ignored currencies."""

    @classmethod
    def parse(cls, content: bytes | str) -> Self:
        """Parse JSON, ignoring unknown fields. Raises ValueError, KeyError or TypeError if it is invalid."""
        values = json.loads(content)
        known = {each.name for each in fields(cls)}
        metadata = cls(**{name: value for name, value in values.items() if name in known})
        if not isinstance(metadata.metrics, dict) or not isinstance(metadata.dataset, dict):
            raise TypeError("metrics and dataset must be objects")
        return metadata

    def dump(self, digests: Mapping[str, str]) -> str:
        """Return JSON, with the digest of every other file."""
        return json.dumps({**asdict(self), "files": digests}, indent=2) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A model with everything that serving needs. `golden_examples` are orders with their score in training."""

    features: FeatureSet
    learned: Learned
    log_odds: LogOdds
    calibration: Calibration
    prior_shift: float
    golden_examples: Sequence[Mapping[str, Any]]
    metadata: Metadata
    form: Form = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "form", form_of(self.learned))

    @property
    def version(self) -> str:
        """Version of the model."""
        return self.metadata.model_version

    def check_currency(self, base: str) -> None:
        """Raise ArtifactError if the model was trained with amounts in another currency than `base`."""
        trained = self.metadata.base_currency
        if trained not in ("", base):
            raise ArtifactError(
                f"model {self.version} was trained with amounts in {trained}, not {base}; "
                f"set VOUCH_BASE_CURRENCY={trained}, or train again"
            )

    def with_version(self, version: str, **more: Any) -> "Bundle":
        """Return the same model under a version; `more` are other fields of its metadata."""
        return replace(self, metadata=replace(self.metadata, model_version=version, **more))

    def files(self) -> dict[str, bytes]:
        """Return the content of each file except the metadata, which contains their digests."""
        extra = self.features.extra
        named = {
            "form": form_name(self.learned),
            "names": self.features.names,
            "classes": self.log_odds.classes,
            "rankings": self.features.rankings,
            "extra": asdict(extra),
        }
        curve = {"raw": self.calibration.raw, "true": self.calibration.true, "prior_shift": self.prior_shift}
        return {
            _FILES[form_name(self.learned)]: self.learned.dump(),
            FEATURES: json.dumps(named).encode(),
            CALIBRATION: json.dumps(curve).encode(),
            EXAMPLES: json.dumps(list(self.golden_examples)).encode(),
        }

    @classmethod
    def parse(cls, read: Callable[[str], bytes]) -> "Bundle":
        """Load a model from its files; `read` returns the content of one. Raises ArtifactError."""
        try:
            named, curve = json.loads(read(FEATURES)), json.loads(read(CALIBRATION))
            bundle = cls(
                # Models of version 0.1 name the rankings `orders`.
                features=FeatureSet(named.get("rankings", named.get("orders")), Extra(**named["extra"])),
                learned=_learned(named.get("form", TABLES), read),
                log_odds=LogOdds(tuple(named["classes"])),
                calibration=Calibration(tuple(curve["raw"]), tuple(curve["true"])),
                prior_shift=float(curve["prior_shift"]),
                golden_examples=json.loads(read(EXAMPLES)),
                metadata=Metadata.parse(read(METADATA)),
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
            raise ArtifactError(f"cannot be loaded: {type(error).__name__}: {error}") from error
        features, form = bundle.features, bundle.form
        fits = form.features == len(features.names) and form.classes == len(bundle.log_odds.classes)
        if named["names"] != list(features.names) or not fits:
            raise ArtifactError(f"{FEATURES} is from another version of this software; train again")
        return bundle


def form_of(learned: Learned) -> Form:
    """Return the scorer of learned parameters."""
    return Additive(learned) if isinstance(learned, Terms) else Forest(learned)


def form_name(learned: Learned) -> str:
    """Return the name of the form."""
    return TABLES if isinstance(learned, Terms) else TREES


def _learned(name: str, read: Callable[[str], bytes]) -> Learned:
    if name not in _FILES:
        raise ArtifactError(f"{FEATURES} has the unknown form {name!r}; known are {TABLES} and {TREES}")
    content = read(_FILES[name])
    return Terms.parse(content) if name == TABLES else Trees.parse(content)
