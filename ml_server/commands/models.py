"""`vouch models`: what versions there are, how they compare, which one serves, and which one challenges it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ml_server.registry.bundle import METADATA, ArtifactError, Metadata
from ml_server.registry.golden_examples import check
from ml_server.registry.store import CHALLENGER, load, pointed, promote, versions
from ml_server.serving.scorer import Scorer
from runtime.process.commands import command
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
    challenge = actions.add_parser("challenge", help="let a version score beside the current one, for metrics only")
    challenge.add_argument("version", nargs="?", help="none: no challenger any more")
    options = parser.parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    if options.action == "promote":
        _proven(models, options.version)
        promote(models, options.version)
        print(f"{options.version} is the current model")
        return 0
    if options.action == "challenge":
        return _challenge(models, options.version)
    shown, damaged = listing(models)
    print("\n".join(shown))
    if damaged:
        raise ArtifactError(f"{', '.join(damaged)} cannot be read: copy it again or remove it")
    return 0


def _proven(models: Path, version: str) -> None:
    """Raise ArtifactError for a broken model, before anybody is asked to serve it."""
    bundle = load(models, version)
    check(bundle, Scorer(bundle).score)


def _challenge(models: Path, version: str | None) -> int:
    if version is None:
        (models / CHALLENGER).unlink(missing_ok=True)
        print("there is no challenger")
        return 0
    _proven(models, version)
    promote(models, version, CHALLENGER)
    print(f"{version} scores beside the current model; vouch_challenger_difference tells how far apart they are")
    return 0


def listing(models: Path) -> tuple[list[str], list[str]]:
    """All versions as lines of text, the current one with a star, the challenger with a ?, and those that are damaged."""
    names = versions(models)
    if not names:
        raise ArtifactError(f"{models} holds no model: run `vouch train`")
    marks, damaged = {pointed(models, CHALLENGER): "?", pointed(models): "*"}, []
    lines = [f"  {'version':32}{'rows':>10}" + "".join(f"{figure:>16}" for figure in FIGURES)]
    for name in names:
        try:
            metadata = Metadata.parse((models / name / METADATA).read_bytes())
            rows, metrics = metadata.dataset["rows"], metadata.metrics
            shown = "".join(f"{metrics[figure]:16.4f}" if figure in metrics else f"{'-':>16}" for figure in FIGURES)
            line = f"{rows:>10,}{shown}"
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            damaged.append(name)
            line = "  damaged"
        lines.append(f"{marks.get(name, ' ')} {name:32}{line}")
    return lines, damaged
