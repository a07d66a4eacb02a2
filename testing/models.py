"""The default model, trained anew: what a bench or a scenario measures must not depend on what lies in models/."""

import subprocess
import sys
from pathlib import Path

from ml_server.registry.store import CURRENT

ROOT = Path(__file__).resolve().parents[1]
ROWS = 50_000
"""What `vouch generate` makes by default."""


def train_default_model(folder: Path, *options: str, rows: int = ROWS) -> Path:
    """Generate orders and train a model in a folder as `make demo` does; return the folder of models, one in it.

    Where the folder has one from an earlier call, it is taken. `options` are more of `vouch train`: `--form trees`, say. Raises
    RuntimeError with what the command said.
    """
    dataset, models = folder / "default-orders.csv", folder / "default-models"
    if (models / CURRENT).is_dir():
        return models
    _vouch("generate", "--size", str(rows), "--output", str(dataset), "--no-validate")
    _vouch("train", "--dataset", str(dataset), "--models-dir", str(models), *options)
    return models


def _vouch(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "vouch.py"), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"vouch {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
