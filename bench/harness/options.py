"""Options of every benchmark: a short form for tests, and the model to measure."""

import argparse
from pathlib import Path

from ml_server.registry.bundle import form_name
from ml_server.registry.store import load
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
        models: Path = options.models_dir.resolve()
    else:
        print("training the default model", flush=True)
        models = train_default(folder)
    print(f"model: {model_form(models)}", flush=True)
    return models


def model_form(models: Path) -> str:
    """Return the form of the current model of a folder: tables or trees."""
    return form_name(load(models).learned)
