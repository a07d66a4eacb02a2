"""Options of every benchmark: a short form for tests, and the model to measure."""

import argparse
from pathlib import Path

from ml_server.registry.bundle import TABLES, TREES, form_name
from ml_server.registry.store import load
from testing.inputs.default_model import generate_default, train_by_command, train_default


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


def models_by_form(options: argparse.Namespace, folder: Path) -> tuple[Path, dict[str, Path]]:
    """Return `models_of`, and a folder of models for each form: the same one, and a model of the other form.

    The other one is trained with the defaults on the default dataset, in the short form on a few orders.
    """
    models = models_of(options, folder)
    form = model_form(models)
    other = TABLES if form == TREES else TREES
    print(f"training {other} to compare with", flush=True)
    dataset = generate_default(folder, 600) if options.short else generate_default(folder)
    fast = ("--rounds", "3") if options.short else ()
    return models, {form: models, other: train_by_command(dataset, folder / other, "--form", other, *fast)}
