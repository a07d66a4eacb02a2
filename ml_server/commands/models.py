"""`vouch models`: list and compare versions, and select the current model and its challenger."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ml_server.commands.comparison import compare, format_lines
from ml_server.registry.bundle import METADATA, ArtifactError, Metadata
from ml_server.registry.golden_examples import check
from ml_server.registry.store import CHALLENGER, POINTERS, load, promote, read_pointer, versions
from ml_server.serving.scorer import Scorer
from runtime.process.command_line import NEGATIVE, OK, CommandParser
from runtime.process.commands import command
from runtime.process.output import print_json
from runtime.process.terminal import escape_unprintable
from runtime.settings import Shared

FIGURES = ("roc_auc", "pr_auc", "log_loss", "ece", "sparse_ece", "regret_roc_auc")


def parser() -> CommandParser:
    """Return the parser of `vouch models`."""
    result = CommandParser(
        prog="vouch models",
        description="List and compare models, or promote one.",
        examples=("vouch models", "vouch models list --json", "vouch models compare current challenger"),
        codes={NEGATIVE: "a model of the list is damaged"},
    )
    result.add_argument(
        "--models-dir", type=Path, default=None, help="folder of models (default: VOUCH_MODELS_DIR or models)"
    )
    result.add_json_option()
    actions = result.add_subparsers(dest="action")
    actions.add_parser(
        "list",
        help="list all versions with their metrics (the default)",
        examples=("vouch models list", "vouch models list --json"),
        codes={NEGATIVE: "a model of the list is damaged"},
    )
    compared = actions.add_parser(
        "compare",
        help="show what differs between two versions: form, data, figures, calibration, parameters, decisions",
        examples=(
            "vouch models compare 20250301-100000 20250401-100000",
            "vouch models compare current challenger --json",
        ),
    )
    compared.add_argument("first", metavar="A", help="version, `current` or `challenger`")
    compared.add_argument("second", metavar="B", help="version, `current` or `challenger`")
    promoted = actions.add_parser(
        "promote", help="make a version the current one", examples=("vouch models promote 20250301-100000",)
    )
    promoted.add_argument("version", help="name of its folder")
    challenge = actions.add_parser(
        "challenge",
        help="let a version score in parallel to the current one, for metrics only",
        examples=("vouch models challenge 20250301-100000", "vouch models challenge"),
    )
    challenge.add_argument("version", nargs="?", help="omit to remove the challenger")
    return result


@command("vouch models", ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    if options.action == "compare":
        comparison = compare(load(models, _named(models, options.first)), load(models, _named(models, options.second)))
        if options.json:
            print_json(asdict(comparison))
        else:
            print("\n".join(map(escape_unprintable, format_lines(comparison))))
        return OK
    if options.action == "promote":
        _check_model(models, options.version)
        promote(models, options.version)
        print(f"{options.version} is the current model")
        return OK
    if options.action == "challenge":
        return _challenge(models, options.version)
    listed = list_models(models)
    if options.json:
        print_json(listed)
    else:
        print("\n".join(_format_rows(listed)))
    if damaged := [row["version"] for row in listed if row["damaged"]]:
        print(f"vouch models: cannot read {', '.join(damaged)}; copy it again or remove it", file=sys.stderr)
        return NEGATIVE
    return OK


def _named(models: Path, name: str) -> str:
    """Return the version that a name means: `current` and `challenger` are those that serve."""
    return (read_pointer(models, name) or name) if name in POINTERS else name


def _check_model(models: Path, version: str) -> None:
    """Raise ArtifactError for a broken model, before it is served."""
    bundle = load(models, version)
    check(bundle, Scorer(bundle).score)


def _challenge(models: Path, version: str | None) -> int:
    if version is None:
        (models / CHALLENGER).unlink(missing_ok=True)
        print("the challenger was removed")
        return OK
    _check_model(models, version)
    promote(models, version, CHALLENGER)
    print(f"{version} is the challenger; vouch_challenger_difference shows how much its scores differ")
    return OK


def list_models(models: Path) -> list[dict[str, Any]]:
    """Return a row for each version, oldest first; figures are empty for a damaged one."""
    names = versions(models)
    if not names:
        raise ArtifactError(f"{models} contains no model; run `vouch train`")
    current, challenger = read_pointer(models), read_pointer(models, CHALLENGER)
    return [
        {"version": name, "current": name == current, "challenger": name == challenger} | _figures(models / name)
        for name in names
    ]


def _figures(folder: Path) -> dict[str, Any]:
    try:
        metadata = Metadata.parse((folder / METADATA).read_bytes())
        figures = {figure: float(metadata.metrics[figure]) for figure in FIGURES if figure in metadata.metrics}
        rows = int(metadata.dataset["rows"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {"damaged": True, "rows": None, "metrics": {}}
    return {"damaged": False, "rows": rows, "metrics": figures}


def _format_rows(listed: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the list as lines of text: `*` is the current version, `?` the challenger."""
    lines = [f"  {'version':32}{'rows':>10}" + "".join(f"{figure:>16}" for figure in FIGURES)]
    for row in listed:
        mark = "*" if row["current"] else "?" if row["challenger"] else " "
        values = (row["metrics"].get(figure) for figure in FIGURES)
        shown = "".join(f"{'-':>16}" if value is None else f"{value:16.4f}" for value in values)
        rest = "  damaged" if row["damaged"] else f"{row['rows']:>10,}{shown}"
        lines.append(f"{mark} {row['version']:32}{rest}")
    return lines
