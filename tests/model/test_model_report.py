"""The report of a model: its effects are the model's own, to visible precision."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ml_server.model.tables.terms import Terms
from ml_server.registry.store import load, save
from ml_server.serving.model_report import MAX_PAIRS, ModelReports


@pytest.fixture
def terms(models: Path) -> Terms:
    """Return the tables of the model that tests serve."""
    learned = load(models).learned
    assert isinstance(learned, Terms)
    return learned


def test_effects_are_the_models(models: Path, terms: Terms) -> None:
    """Each curve equals the feature's own table, weighted as at an average order."""
    bundle = load(models)
    report, slopes = ModelReports(models).of(bundle), bundle.log_odds.slopes(terms.base.tolist(), terms.base.tolist())
    names, compared = list(bundle.features.names), 0
    for effect in report.effects:
        feature = names.index(effect.feature)
        (term,) = np.flatnonzero((terms.first == feature) & (terms.second == feature))
        table = terms.table(int(term)) @ np.array(slopes)
        assert len(effect.effect) == len(effect.thresholds) + 1 and effect.unknown == table[0]
        for value, shown_effect in zip([*effect.thresholds, 1e200], effect.effect, strict=True):
            assert shown_effect == table[np.searchsorted(terms.thresholds[feature], value)]
            compared += 1
    assert compared > 100 and report.form == "tables"
    assert [one.importance for one in report.effects] == sorted(
        (one.importance for one in report.effects), reverse=True
    )


def test_pairs_have_their_whole_grid(models: Path) -> None:
    """The strongest pairs have a value for every range of both."""
    report = ModelReports(models).of(load(models))
    assert 0 < len(report.pairs) <= MAX_PAIRS
    for pair in report.pairs:
        assert len(pair.effect) == (len(pair.first_thresholds) + 1) * (len(pair.second_thresholds) + 1)


def test_the_report_has_curves_and_versions(models: Path) -> None:
    """Calibration counts every held-out order; costs rise when nothing is approved; the current version is marked."""
    bundle = load(models)
    report = ModelReports(models).of(bundle)
    assert sum(point.rows for point in report.calibration) == bundle.metadata.metrics["rows"]
    assert all(0 <= point.stated <= 1 and 0 <= point.observed <= 1 for point in report.calibration)
    shares = [point.review_share for point in report.costs]
    assert len(shares) > 20 and shares == sorted(shares)
    assert [one.role for one in report.versions if one.version == bundle.version] == ["current"]


def test_a_broken_version_beside_it_is_left_out(models: Path, tmp_path: Path) -> None:
    """A folder with invalid metadata does not hide the report."""
    (tmp_path / "20200101").mkdir()
    (tmp_path / "20200101" / "metadata.json").write_text('{"model_version": 3')
    assert not ModelReports(tmp_path).of(load(models)).versions


def test_a_report_follows_the_model_and_the_folder(models: Path, tmp_path: Path) -> None:
    """A repeated report is equal; another model, or a new version, shows at once."""
    shutil.copytree(models, tmp_path / "models", symlinks=True)
    reports, bundle = ModelReports(tmp_path / "models"), load(models)
    first = reports.of(bundle)
    assert reports.of(bundle) == first and first.versions
    save(tmp_path / "models", bundle.with_version("z-another"))
    again = reports.of(bundle)
    assert len(again.versions) == len(first.versions) + 1 and again.effects == first.effects
    assert reports.of(bundle.with_version("z-another")).model_version == "z-another"
