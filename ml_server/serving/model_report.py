"""Report of what a model has learned, for people."""

import json
from pathlib import Path

import numpy as np

from generated.vouch.v1 import scoring_service_pb2 as pb
from ml_server.model.bins import Floats
from ml_server.model.tables.terms import Terms
from ml_server.registry.bundle import METADATA, Bundle, Metadata, form_name
from ml_server.registry.store import POINTERS, read_pointer, versions
from runtime.files import MIB, read_file

_BEYOND = 1e299
"""LightGBM splits at 1e300 to test only whether a value is known."""
MAX_PAIRS, MAX_VERSIONS = 6, 50


class ModelReports:
    """Reports of the model that serves. Effects are computed once: that takes as long as a hundred scores."""

    def __init__(self, models: Path) -> None:
        """Report the versions in the folder `models`."""
        self._models = models
        self._learned: tuple[Bundle, pb.GetModelReportResponse] | None = None

    def of(self, bundle: Bundle) -> pb.GetModelReportResponse:
        """Return effects, calibration, costs, and the current list of versions."""
        known = self._learned
        if known is None or known[0] is not bundle:  # two threads may compute it at once, with the same result
            known = self._learned = (bundle, learned_report(bundle))
        report = pb.GetModelReportResponse()
        report.CopyFrom(known[1])
        report.versions.extend(_versions(self._models))
        return report


def learned_report(bundle: Bundle) -> pb.GetModelReportResponse:
    """Return effects, calibration and costs of a model."""
    metadata = bundle.metadata
    report = pb.GetModelReportResponse(model_version=bundle.version, form=form_name(bundle.learned))
    if isinstance(bundle.learned, Terms):
        _add_effects(report, bundle, bundle.learned)
    for stated, observed, rows in metadata.reliability:
        report.calibration.add(stated=stated, observed=observed, rows=int(rows))
    for approve, per_order, review_share in metadata.costs:
        report.costs.add(approve_from=approve, per_order=per_order, review_share=review_share)
    return report


def _add_effects(report: pb.GetModelReportResponse, bundle: Bundle, terms: Terms) -> None:
    """Add tables weighted by the influence of each class's score on the log-odds of an average order."""
    base = terms.base.tolist()
    slopes = np.array(bundle.log_odds.slopes(base, base))
    names, importance = bundle.features.names, bundle.metadata.importance
    pairs: list[tuple[float, int, Floats]] = []
    for term, (first, second) in enumerate(zip(terms.first.tolist(), terms.second.tolist(), strict=True)):
        effect = terms.table(term) @ slopes
        here = slice(1, len(_thresholds(terms, first)) + 2)
        if first == second:
            report.effects.add(
                feature=names[first], importance=importance.get(names[first], 0.0), unknown=effect[0],
                thresholds=_thresholds(terms, first), effect=effect[here],
            )  # fmt: skip
        else:
            known = effect[here, 1 : len(_thresholds(terms, second)) + 2]
            pairs.append((float(known.std()), term, known))
    report.effects.sort(key=lambda one: -one.importance)
    for _, term, effect in sorted(pairs, key=lambda one: -one[0])[:MAX_PAIRS]:
        first, second = int(terms.first[term]), int(terms.second[term])
        report.pairs.add(
            first=names[first], second=names[second], first_thresholds=_thresholds(terms, first),
            second_thresholds=_thresholds(terms, second), effect=effect.ravel(),
        )  # fmt: skip


def _thresholds(terms: Terms, feature: int) -> list[float]:
    """Return thresholds that separate known values: without the first, and without one that no value reaches."""
    return [threshold for threshold in terms.thresholds[feature][1:] if threshold < _BEYOND]


def _versions(models: Path) -> list[pb.ModelVersion]:
    roles = {read_pointer(models, pointer): pointer for pointer in reversed(POINTERS)}
    found = []
    for version in reversed(versions(models)[-MAX_VERSIONS:]):
        try:
            metadata = Metadata.parse(read_file(models / version / METADATA, MIB))
            one = pb.ModelVersion(
                version=version, roc_auc=metadata.metrics.get("roc_auc", 0.0), brier=metadata.metrics.get("brier", 0.0),
                rows=int(metadata.dataset.get("rows", 0)), role=roles.get(version, ""),
            )  # fmt: skip
            one.training_date.FromJsonString(metadata.training_date)
        except (OSError, ValueError, KeyError, TypeError, json.JSONDecodeError):
            continue  # being written, just removed, or not a model
        found.append(one)
    return found
