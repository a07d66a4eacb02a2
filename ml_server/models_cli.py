"""`vouch models`: what versions there are, how they compare, and which one serves."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ml_server.artifacts import CURRENT, METADATA, ArtifactError, load, promote, versions
from ml_server.examples import check
from runtime.settings import Shared

FIGURES = ("roc_auc", "pr_auc", "log_loss", "ece", "sparse_ece", "regret_roc_auc")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 2 it could not run."""
    parser = argparse.ArgumentParser(prog="vouch models", description="List and compare models, or promote one.")
    parser.add_argument("--models-dir", type=Path, default=None, help="where models are kept")
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="all versions with their figures (the default)")
    actions.add_parser("promote", help="make a version the current one").add_argument("version")
    options = parser.parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    try:
        if options.action == "promote":
            check(load(models, options.version))  # a broken model is refused before anybody is asked to serve it
            promote(models, options.version)
            print(f"{options.version} is the current model")
            return 0
        for line in listing(models):
            print(line)
    except ArtifactError as error:
        print(f"vouch models: {error}", file=sys.stderr)
        return 2
    return 0


def listing(models: Path) -> list[str]:
    """All versions as lines of text, the current one with a star."""
    found = versions(models)
    if not found:
        raise ArtifactError(f"{models} holds no model: run `vouch train`")
    current = (models / CURRENT).resolve().name
    lines = [f"  {'version':32}{'rows':>10}" + "".join(f"{name:>16}" for name in FIGURES)]
    for name in found:
        metadata = json.loads((models / name / METADATA).read_text())
        metrics = metadata["metrics"]
        shown = "".join(f"{metrics[figure]:16.4f}" if figure in metrics else f"{'-':>16}" for figure in FIGURES)
        lines.append(f"{'*' if name == current else ' '} {name:32}{metadata['dataset']['rows']:>10,}{shown}")
    return lines
