"""Options of every benchmark: a short form for tests, and the model to measure."""

import argparse
from pathlib import Path

from testing.inputs.default_model import train_default


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return a parser with `--short` and `--models-dir`."""
    result = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    result.add_argument(
        "--short",
        action="store_true",
        help="run everything once with small counts and write no results: a test of the bench",
    )
    result.add_argument(
        "--models-dir", type=Path, help="measure this folder's current model (default: train the default model anew)"
    )
    return result


def models_of(options: argparse.Namespace, folder: Path) -> Path:
    """Return the folder of the models to measure; without `--models-dir` train the default model in `folder`."""
    if options.models_dir is not None:
        given: Path = options.models_dir.resolve()
        return given
    print("training the default model", flush=True)
    return train_default(folder)
