"""`vouch models`: list and compare versions, and select the current model and its challenger."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ml_server.registry.bundle import METADATA, ArtifactError, Metadata
from ml_server.registry.golden_examples import check
from ml_server.registry.store import CHALLENGER, load, promote, read_pointer, versions
from ml_server.serving.scorer import Scorer
from runtime.process.commands import command
from runtime.settings import Shared

FIGURES = ("roc_auc", "pr_auc", "log_loss", "ece", "sparse_ece", "regret_roc_auc")


@command("vouch models", ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 success, 2 error or a damaged model."""
    parser = argparse.ArgumentParser(prog="vouch models", description="List and compare models, or promote one.")
    parser.add_argument("--models-dir", type=Path, default=None, help="folder of models")
    actions = parser.add_subparsers(dest="action")
    actions.add_parser("list", help="list all versions with their metrics (the default)")
    actions.add_parser("promote", help="make a version the current one").add_argument("version")
    challenge = actions.add_parser(
        "challenge", help="let a version score in parallel to the current one, for metrics only"
    )
    challenge.add_argument("version", nargs="?", help="omit to remove the challenger")
    options = parser.parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    if options.action == "promote":
        _check_model(models, options.version)
        promote(models, options.version)
        print(f"{options.version} is the current model")
        return 0
    if options.action == "challenge":
        return _challenge(models, options.version)
    lines, damaged = list_models(models)
    print("\n".join(lines))
    if damaged:
        raise ArtifactError(f"cannot read {', '.join(damaged)}; copy it again or remove it")
    return 0


def _check_model(models: Path, version: str) -> None:
    """Raise ArtifactError for a broken model, before it is served."""
    bundle = load(models, version)
    check(bundle, Scorer(bundle).score)


def _challenge(models: Path, version: str | None) -> int:
    if version is None:
        (models / CHALLENGER).unlink(missing_ok=True)
        print("the challenger was removed")
        return 0
    _check_model(models, version)
    promote(models, version, CHALLENGER)
    print(f"{version} is the challenger; vouch_challenger_difference shows how much its scores differ")
    return 0


def list_models(models: Path) -> tuple[list[str], list[str]]:
    """Return all versions as lines of text (`*` current, `?` challenger), and the names of damaged versions."""
    names = versions(models)
    if not names:
        raise ArtifactError(f"{models} contains no model; run `vouch train`")
    marks, damaged = {read_pointer(models, CHALLENGER): "?", read_pointer(models): "*"}, []
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
