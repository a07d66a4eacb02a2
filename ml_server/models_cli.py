"""`vouch models`: what versions there are, how they compare, and which one serves."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from ml_server.artifacts import CURRENT, METADATA, ArtifactError, load, promote, versions
from ml_server.examples import check
from runtime.commands import command
from runtime.settings import Shared

FIGURES = ("roc_auc", "pr_auc", "log_loss", "ece", "sparse_ece", "regret_roc_auc")


@command("vouch models", ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 well, 2 it could not run or a model is damaged."""
    parser = argparse.ArgumentParser(prog="vouch models", description="List and compare models, or promote one.")
    parser.add_argument("--models-dir", type=Path, default=None, help="where models are kept")
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="all versions with their figures (the default)")
    actions.add_parser("promote", help="make a version the current one").add_argument("version")
    options = parser.parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    if options.action == "promote":
        check(load(models, options.version))  # a broken model is refused before anybody is asked to serve it
        promote(models, options.version)
        print(f"{options.version} is the current model")
        return 0
    shown, damaged = listing(models)
    print("\n".join(shown))
    if damaged:
        raise ArtifactError(f"{', '.join(damaged)} cannot be read: copy it again or remove it")
    return 0


def listing(models: Path) -> tuple[list[str], list[str]]:
    """All versions as lines of text, the current one with a star, and those whose metadata is damaged."""
    found = versions(models)
    if not found:
        raise ArtifactError(f"{models} holds no model: run `vouch train`")
    current, damaged = (models / CURRENT).resolve().name, []
    lines = [f"  {'version':32}{'rows':>10}" + "".join(f"{name:>16}" for name in FIGURES)]
    for name in found:
        try:
            metadata = json.loads((models / name / METADATA).read_text())
            metrics, rows = metadata["metrics"], metadata["dataset"]["rows"]
            shown = "".join(f"{metrics[figure]:16.4f}" if figure in metrics else f"{'-':>16}" for figure in FIGURES)
            line = f"{rows:>10,}{shown}"
        except (OSError, ValueError, KeyError, TypeError):
            damaged.append(name)
            line = "  damaged"
        lines.append(f"{'*' if name == current else ' '} {name:32}{line}")
    return lines, damaged
