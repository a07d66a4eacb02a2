"""The model of `vouch generate` and `vouch train` without options, in its own folder."""

from pathlib import Path

from testing.servers.processes import run

_SECONDS = 1800.0


def train_default(folder: Path) -> Path:
    """Generate the default dataset and train the default model on it.

    Returns the folder of models, with that model as the current one. Raises RuntimeError with the output of a failed
    command.
    """
    dataset, models = folder / "abuse_dataset_50000.csv", folder / "models"
    for command in (
        ("-m", "data_gen", "--output", str(dataset)),
        ("-m", "ml_server.train_and_save", "--dataset", str(dataset), "--models-dir", str(models)),
    ):
        done = run(*command, seconds=_SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return models
