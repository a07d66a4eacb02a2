"""Models on disk: one folder for each version, `current` pointing to the one that serves, every byte accounted for.

models/<version>/  terms.npz features.json calibration.json examples.json     what serving reads
                   model.txt fraud_model.joblib preprocessor.joblib           for notebooks, never read by serving
                   metadata.json SHA256SUMS                                    what it is, and the digest of each file
models/current  -> <version>
"""

import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_server.additive import Additive
from ml_server.calibration import Calibration
from ml_server.classes import Classes
from ml_server.features import Extra, FeatureSet
from ml_server.terms import Terms
from runtime.files import sha256

CURRENT, SUMS, METADATA = "current", "SHA256SUMS", "metadata.json"
TERMS, FEATURES, CALIBRATION, EXAMPLES = "terms.npz", "features.json", "calibration.json", "examples.json"
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


class ArtifactError(Exception):
    """A model that cannot be loaded; the message names the file and what to do."""


@dataclass(frozen=True)
class Model:
    """A loaded model: everything that serving needs."""

    version: str
    features: FeatureSet
    additive: Additive
    classes: Classes
    calibration: Calibration
    prior_shift: float
    examples: Sequence[Mapping[str, Any]]
    metadata: Mapping[str, Any]


def resolve(models: Path, version: str | None = None) -> Path:
    """Folder of a version, or of the current one; raise ArtifactError when there is none."""
    if version is not None and (version == CURRENT or not _VERSION.fullmatch(version)):
        raise ArtifactError(f"{version!r} is no version of a model; there are {', '.join(versions(models)) or 'none'}")
    folder = models / (version or CURRENT)
    if not folder.is_dir():
        if version is None:
            raise ArtifactError(f"{models} holds no current model: run `vouch train` or `vouch models promote VERSION`")
        raise ArtifactError(f"{models} holds no version {version}; there are {', '.join(versions(models)) or 'none'}")
    return folder.resolve()


def versions(models: Path) -> list[str]:
    """All versions in a folder of models, oldest first."""
    if not models.is_dir():
        return []
    found = [path for path in models.iterdir() if not path.is_symlink() and (path / METADATA).is_file()]
    return sorted(path.name for path in found if _VERSION.fullmatch(path.name))


def promote(models: Path, version: str) -> None:
    """Make a version the current one, in one step that readers see whole. Raises ArtifactError."""
    resolve(models, version)
    current, pointer = models / CURRENT, models / f".{CURRENT}.{os.getpid()}"
    if current.is_dir() and not current.is_symlink():
        raise ArtifactError(f"{current} is a folder and must be a link to a version: move it away")
    try:
        pointer.unlink(missing_ok=True)
        pointer.symlink_to(version)
        pointer.replace(current)
    except OSError as error:
        pointer.unlink(missing_ok=True)
        raise ArtifactError(f"{current} cannot be made to point to {version}: {error.strerror}") from error


def verify(folder: Path) -> None:
    """Compare every file with SHA256SUMS; raise ArtifactError naming the first that differs, is missing or extra."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{folder / SUMS} cannot be read: train or copy the model again") from error
    wanted = {}
    for line in lines:
        found = re.fullmatch(r"([0-9a-f]{64})  ([^/]+)", line)
        if not found:
            raise ArtifactError(f"{folder / SUMS} has a broken line: train or copy the model again")
        wanted[found[2]] = found[1]
    if missing := sorted({TERMS, FEATURES, CALIBRATION, EXAMPLES, METADATA} - wanted.keys()):
        raise ArtifactError(f"{folder / SUMS} does not name {missing[0]}: train or copy the model again")
    for name, expected in wanted.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing: train or copy the model again")
        if sha256(path) != expected:
            raise ArtifactError(f"{path} was changed since it was written: train or copy the model again")
    for path in sorted(folder.iterdir()):
        if path.name not in wanted and path.name != SUMS:
            raise ArtifactError(f"{path} does not belong to this model: remove it")


def load(models: Path, version: str | None = None) -> Model:
    """Read and check a version, the current one by default; raise ArtifactError naming the file that is wrong."""
    folder = resolve(models, version)
    verify(folder)
    try:
        metadata = json.loads((folder / METADATA).read_text())
        features = json.loads((folder / FEATURES).read_text())
        curve = json.loads((folder / CALIBRATION).read_text())
        model = Model(
            version=metadata["model_version"],
            features=FeatureSet(features["orders"], Extra(**features["extra"])),
            additive=Additive(Terms.parse((folder / TERMS).read_bytes())),
            classes=Classes(tuple(features["classes"])),
            calibration=Calibration(tuple(curve["raw"]), tuple(curve["true"])),
            prior_shift=float(curve["prior_shift"]),
            examples=json.loads((folder / EXAMPLES).read_text()),
            metadata=metadata,
        )
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{folder} cannot be loaded: {type(error).__name__}: {error}") from error
    fits = model.additive.features == len(model.features.names) and model.additive.classes == len(model.classes.names)
    if features["names"] != list(model.features.names) or not fits:
        raise ArtifactError(f"{folder / FEATURES} is of another version of this software: train again")
    return model


def save(models: Path, version: str, files: Mapping[str, bytes | str], metadata: Mapping[str, Any]) -> Path:
    """Write a version whole or not at all; the first one in a folder becomes current by itself. Raises ArtifactError."""
    try:
        return _save(models, version, files, metadata)
    except OSError as error:
        raise ArtifactError(f"{models / version} cannot be written: {error.strerror or error}") from error


def _save(models: Path, version: str, files: Mapping[str, bytes | str], metadata: Mapping[str, Any]) -> Path:
    models.mkdir(parents=True, exist_ok=True)
    if (models / version).exists():
        raise ArtifactError(f"{models / version} is there already: wait a second and train again")
    stage = Path(tempfile.mkdtemp(prefix=".new-", dir=models))
    try:
        for name, content in files.items():
            (stage / name).write_bytes(content.encode() if isinstance(content, str) else content)
        digests = {name: sha256(stage / name) for name in sorted(files)}
        (stage / METADATA).write_text(json.dumps({**metadata, "files": digests}, indent=2) + "\n")
        sums = {**digests, METADATA: sha256(stage / METADATA)}
        (stage / SUMS).write_text("".join(f"{value}  {name}\n" for name, value in sums.items()))
        stage.chmod(0o755)
        stage.replace(models / version)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    if not (models / CURRENT).is_dir():
        promote(models, version)
    return models / version
