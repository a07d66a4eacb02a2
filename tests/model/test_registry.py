"""Models on disk: complete, verified, and without personal data."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ml_server.features.text_scores import PRIVATE, mail_kind
from ml_server.model.calibration import Calibration
from ml_server.registry.bundle import ArtifactError, Bundle
from ml_server.registry.golden_examples import check
from ml_server.registry.store import load, promote, versions
from ml_server.serving.scorer import Scorer


@pytest.mark.parametrize("spoil", ["score", "curve"])
def test_a_model_that_scores_otherwise_is_refused(model: Bundle, spoil: str) -> None:
    """A model whose tables or curve differ from training fails its recorded examples and does not serve."""
    check(model, Scorer(model).score)
    if spoil == "curve":
        other = replace(
            model, calibration=Calibration(model.calibration.raw, tuple(v + 0.1 for v in model.calibration.true))
        )
    else:
        other = replace(model, golden_examples=[{**model.golden_examples[0], "score": 0.123}])
    with pytest.raises(ArtifactError, match="example 1"):
        check(other, Scorer(other).score)


def test_examples_hold_nothing_personal(model: Bundle) -> None:
    """The examples recorded with a model contain no person, device, address or card."""
    text = json.dumps(model.golden_examples)
    assert len(model.golden_examples) >= 20
    for name in ("device_id", "ip_address", "card_bin", "user_agent"):
        assert name not in text
    assert {example["transaction"]["user_id"] for example in model.golden_examples} == {"example"}
    domains = {example["transaction"].get("email_domain") for example in model.golden_examples} - {None}
    assert domains
    assert all(mail_kind(domain) != PRIVATE for domain in domains)


def test_a_changed_byte_is_refused_by_name(models: Path, tmp_path: Path) -> None:
    """A model with a changed byte, or a missing or additional file, is not loaded, and the error names the file."""
    source = (models / "current").resolve()
    for path in sorted(source.iterdir()):
        copy = tmp_path / path.name / "models"
        shutil.copytree(source, copy / source.name)
        promote(copy, source.name)
        target = copy / source.name / path.name
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"SHA256SUMS|" + path.name.replace(".", r"\.")):
            load(copy)
        target.unlink()
        with pytest.raises(ArtifactError, match=path.name.replace(".", r"\.")):
            load(copy)


def test_no_model_is_a_clear_error(tmp_path: Path) -> None:
    """The error for a folder without a model says what to run."""
    assert versions(tmp_path) == []
    with pytest.raises(ArtifactError, match="vouch train"):
        load(tmp_path)


def test_metadata_says_where_the_model_comes_from(models: Path) -> None:
    """The metadata has figures, data, libraries and the digest of every file."""
    metadata = json.loads((models / "current" / "metadata.json").read_text())
    assert metadata["dataset"]["rows"] == 20_000
    assert metadata["metrics"]["roc_auc"] > 0.9
    assert {"terms.npz", "model.txt", "fraud_model.joblib", "preprocessor.joblib"} <= metadata["files"].keys()
    assert "lightgbm" in metadata["libraries"]
