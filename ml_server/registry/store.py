"""Models on disk: one folder for each version, `current` as a link to the one that serves, a digest for every file.

models/<version>/  the bundle's files                          read by serving
                                      fraud_model.joblib model.txt ...            for notebooks, never read by serving
                                      SHA256SUMS                                  digest of each file
models/current  -> <version>
"""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ml_server.registry.bundle import METADATA, SERVED, ArtifactError, Bundle
from runtime.files import MIB, read_file
from runtime.process.files import sha256, sync

CURRENT, CHALLENGER, SUMS = "current", "challenger", "SHA256SUMS"
POINTERS = (CURRENT, CHALLENGER)
HELD_OUT_SCORES = "held_out.npy"
"""Scores of the held-out part, from before the final fit on all rows, without prior shift; for `vouch evaluate`."""
MAX_BYTES = 1024 * MIB
"""Maximum size of a model file."""
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,63}")


def resolve(models: Path, version: str | None = None) -> Path:
    """Return the folder of a version, or of the current one; raise ArtifactError if there is none."""
    if version is not None and (version in POINTERS or not _VERSION.fullmatch(version)):
        raise ArtifactError(f"{version!r} is not a model version; available: {', '.join(versions(models)) or 'none'}")
    folder = models / (version or CURRENT)
    if not folder.is_dir():
        if version is None:
            raise ArtifactError(f"{models} has no current model; run `vouch train` or `vouch models promote VERSION`")
        raise ArtifactError(f"{models} has no version {version}; available: {', '.join(versions(models)) or 'none'}")
    return folder.resolve()


def versions(models: Path) -> list[str]:
    """Return all versions in a folder of models, oldest first."""
    if not models.is_dir():
        return []
    folders = [path for path in models.iterdir() if not path.is_symlink() and (path / METADATA).is_file()]
    return sorted(path.name for path in folders if _VERSION.fullmatch(path.name))


def promote(models: Path, version: str, pointer: str = CURRENT) -> None:
    """Make a version the current one, or the challenger, atomically. Raises ArtifactError."""
    resolve(models, version)
    link, fresh = models / pointer, models / f".{pointer}.{os.getpid()}"
    if link.is_dir() and not link.is_symlink():
        raise ArtifactError(f"{link} is a folder, but must be a link to a version; move it")
    try:
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(version)
        fresh.replace(link)
        sync(models)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise ArtifactError(f"cannot link {link} to {version}: {error.strerror}") from error


def read_pointer(models: Path, pointer: str = CURRENT) -> str:
    """Return the version that a pointer names; empty if it does not exist."""
    try:
        return os.readlink(models / pointer)
    except OSError:
        return ""


def verify(folder: Path) -> None:
    """Compare all files with SHA256SUMS; raise ArtifactError naming the first different, missing or unexpected one."""
    try:
        lines = read_file(folder / SUMS, MIB).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(f"cannot read {folder / SUMS}; train or copy the model again") from error
    wanted = {}
    for line in lines:
        match = re.fullmatch(r"([0-9a-f]{64})  ([^/]+)", line)
        if not match:
            raise ArtifactError(f"{folder / SUMS} has an invalid line; train or copy the model again")
        wanted[match[2]] = match[1]
    if missing := sorted(set(SERVED) - wanted.keys()):
        raise ArtifactError(f"{folder / SUMS} does not list {missing[0]}; train or copy the model again")
    for name, expected in wanted.items():
        path = folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; train or copy the model again")
        try:
            actual = sha256(path, MAX_BYTES)
        except OSError as error:
            raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
        if actual != expected:
            raise ArtifactError(f"{path} was modified; train or copy the model again")
    for path in sorted(folder.iterdir()):
        if path.name not in wanted and path.name != SUMS:
            raise ArtifactError(f"{path} does not belong to this model; remove it")


def load(models: Path, version: str | None = None) -> Bundle:
    """Read and verify a version, the current one by default; raise ArtifactError naming the invalid file."""
    folder = resolve(models, version)
    verify(folder)
    try:
        return Bundle.parse(lambda name: read_file(folder / name, MAX_BYTES))
    except ArtifactError as error:
        raise ArtifactError(f"{folder}: {error}") from error


def held_out_scores(models: Path, bundle: Bundle) -> NDArray[np.float64] | None:
    """Return out-of-sample scores of the held-out part, shape (rows,), by time; None for older models."""
    path = models / bundle.version / HELD_OUT_SCORES
    if not path.is_file():
        return None
    scores = np.load(path, allow_pickle=False)
    return np.asarray(1 / (1 + (1 / scores - 1) * np.exp(-bundle.prior_shift)))


def save(models: Path, bundle: Bundle, more: Mapping[str, bytes] | None = None) -> Path:
    """Write a version atomically, with `more` files; the first version in a folder becomes current.

    Raises ArtifactError.
    """
    try:
        return _save(models, bundle, {**bundle.files(), **(more or {})})
    except OSError as error:
        raise ArtifactError(f"cannot write {models / bundle.version}: {error.strerror or error}") from error


def _save(models: Path, bundle: Bundle, files: Mapping[str, bytes]) -> Path:
    target = models / bundle.version
    models.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise ArtifactError(f"{target} exists already; wait a second and train again")
    stage = Path(tempfile.mkdtemp(prefix=".new-", dir=models))
    try:
        for name, content in files.items():
            (stage / name).write_bytes(content)
            sync(stage / name)
        digests = {name: sha256(stage / name) for name in sorted(files)}
        (stage / METADATA).write_text(bundle.metadata.dump(digests))
        sums = {**digests, METADATA: sha256(stage / METADATA)}
        (stage / SUMS).write_text("".join(f"{value}  {name}\n" for name, value in sums.items()))
        sync(stage / METADATA)
        sync(stage / SUMS)
        stage.chmod(0o755)
        sync(stage)
        stage.replace(target)
        sync(models)
    except BaseException:
        shutil.rmtree(stage, ignore_errors=True)
        raise
    if not (models / CURRENT).is_dir():
        promote(models, bundle.version)
    return target
