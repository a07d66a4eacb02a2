"""The model of `vouch generate` and `vouch train` without options, in its own folder."""

from pathlib import Path

from testing.servers.processes import run

_SECONDS = 1800.0


def train_default(folder: Path) -> Path:
    """Generate the default dataset and train the default model on it.

    Returns the folder of models, with that model as the current one. Raises RuntimeError with the output of a failed
    command.
    """
    return train_by_command(generate_default(folder), folder / "models")


def generate_default(folder: Path, rows: int = 50_000) -> Path:
    """Generate the default dataset, or fewer rows, unless it exists; return its file. Raises RuntimeError."""
    dataset = folder / f"abuse_dataset_{rows}.csv"
    if not dataset.exists():
        _run("-m", "data_gen", "--size", str(rows), "--output", str(dataset))
    return dataset


def train_by_command(dataset: Path, models: Path, *options: str) -> Path:
    """Train a model; return the folder of models, with that model as the current one. Raises RuntimeError."""
    _run("-m", "ml_server.train_and_save", "--dataset", str(dataset), "--models-dir", str(models), *options)
    return models


def _run(*command: str) -> None:
    done = run(*command, seconds=_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
