"""`vouch train`: train a model from a dataset and save it."""

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract.tables import TableError
from history.table import with_history
from ml_server.data.datasets import combine, drop_unlabelled, read_dataset
from ml_server.data.mapping import MappingError, Report, read_mapping
from ml_server.registry.bundle import ArtifactError
from ml_server.registry.origin import with_origin
from ml_server.registry.store import CURRENT, load, promote, save
from ml_server.training.challenge import challenge
from ml_server.training.labels import TrainingError, abuse_of
from ml_server.training.parameters import AUTO, FORMS, Parameters
from ml_server.training.progress import progress_reporter
from ml_server.training.split import HELD_OUT
from ml_server.training.train import Trained, train
from runtime.process.command_line import CommandParser
from runtime.process.commands import command
from runtime.process.files import digest_of
from runtime.settings import Shared

DATASET = Path("abuse_dataset_50000.csv")


def parser() -> CommandParser:
    """Return the option parser of `vouch train`."""
    result = CommandParser(
        prog="vouch train",
        description="Train a model from a labelled dataset.",
        examples=(
            "vouch train --dataset orders.csv",
            "vouch train --dataset shop.csv --mapping mapping.yaml --challenge",
            "vouch train --dataset orders.csv --dataset labels.csv --weight 1 --weight 5 --promote",
        ),
    )
    result.add_argument(
        "--dataset",
        type=Path,
        action="append",
        help=f"CSV, Parquet, .xlsx or .zip, or a folder of these; several are combined (default: {DATASET})",
    )
    result.add_argument("--weight", type=float, action="append", help="weight of each dataset's rows (default: 1)")
    result.add_argument(
        "--models-dir", type=Path, default=None, help="folder of models (default: VOUCH_MODELS_DIR or models)"
    )
    result.add_argument("--mapping", type=Path, help="YAML that maps the columns of other formats")
    result.add_argument(
        "--history", action="store_true", help="fill in missing history fields, as the agent's history would"
    )
    result.add_argument("--target", choices=("hard", "soft"), default="hard", help="label to learn (default: hard)")
    result.add_argument(
        "--form",
        choices=FORMS,
        default=AUTO,
        help="tables over pairs of features, deeper trees, or auto: tables, unless trees gain more in average "
        "precision than chance explains (default: auto)",
    )
    result.add_argument(
        "--prevalence", type=float, default=None, help="share of abuse in your shop (default: the dataset's)"
    )
    result.add_argument("--seed", type=int, default=42, help="same data and seed, same model (default: 42)")
    result.add_argument(
        "--holdout",
        type=float,
        default=HELD_OUT,
        help=f"share of the rows, the last in time, to measure on (default: {HELD_OUT:g})",
    )
    result.add_argument("--rounds", type=int, default=3000, help="maximum number of boosting rounds (default: 3000)")
    result.add_argument(
        "--time-budget", type=float, default=None, help="approximate limit for fitting in seconds; not reproducible"
    )
    result.add_argument(
        "--challenge",
        action="store_true",
        help="compare with the current model on the held-out part, with an interval",
    )
    result.add_argument("--promote", action="store_true", help="make it the current model even if there is one")
    return result


@command("vouch train", TableError, TrainingError, MappingError, ArtifactError)
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = parser().parse_args(arguments)
    models = options.models_dir or Shared.read().models_dir
    report = Report()
    if options.prevalence is not None and not 0 < options.prevalence < 1:
        raise TrainingError(f"--prevalence must be between 0 and 1, not {options.prevalence:g}")
    if not 0 < options.holdout <= 0.5:
        raise TrainingError(f"--holdout must be above 0 and at most 0.5, not {options.holdout:g}")
    if options.rounds < 1:
        raise TrainingError(f"--rounds must be at least 1, not {options.rounds}")
    if options.time_budget is not None and not options.time_budget > 0:
        raise TrainingError(f"--time-budget must be above 0 seconds, not {options.time_budget:g}")
    datasets: list[Path] = options.dataset or [DATASET]
    weights: list[float] = options.weight or [1.0] * len(datasets)
    if len(weights) != len(datasets) or not all(0 < weight < math.inf for weight in weights):
        raise TrainingError(f"--weight needs a number above 0 for each --dataset, {len(datasets)} in all")
    current = load(models) if options.challenge else None
    mapping = read_mapping(options.mapping) if options.mapping else None
    with progress_reporter() as progress:
        progress.report(f"reading {', '.join(map(str, datasets))}")
        tables = [read_dataset(path, mapping, report) for path in datasets]
        if options.history:
            progress.report("computing history")
            tables = [with_history(table) for table in tables]
        if mapping:  # orders without a known outcome count in the history of others
            tables = [drop_unlabelled(table, report) for table in tables]
        table = tables[0] if len(tables) == 1 and not options.weight else combine(tables, weights)
        parameters = Parameters(
            seed=options.seed,
            target=options.target,
            form=options.form,
            prevalence=options.prevalence,
            holdout=options.holdout,
            rounds=options.rounds,
            time_budget=options.time_budget,
        )
        for line in report.lines:
            progress.report(line)
        trained = train(table, parameters, mapping.extra if mapping else None, progress)
    code = _save_model(datasets, options.promote, models, table.num_rows, float(abuse_of(table).mean()), trained)
    if current is not None:
        if current.metadata.dataset["sha256"] == _digest(datasets):
            print(
                "warning: the current model was fitted on these rows, held-out part included, so its result is too good"
            )
        print("\n".join(challenge(current, trained.test_part, trained.held_out).lines()))
    return code


def _digest(datasets: Sequence[Path]) -> str:
    """Return the SHA-256 of a file; for several files, the SHA-256 of their digests."""
    digests = [digest_of(path) for path in datasets]
    return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _save_model(
    datasets: Sequence[Path], promoted: bool, models: Path, rows: int, abuse_rate: float, trained: Trained
) -> int:
    from ml_server.estimator.model import artifact  # the help of the command needs no estimator

    bundle = with_origin(
        trained.bundle, name=" + ".join(path.name for path in datasets), rows=rows, abuse_rate=abuse_rate,
        digest=_digest(datasets), manifest=_manifest(datasets[0]) if len(datasets) == 1 else None,
    )  # fmt: skip
    folder = save(models, bundle, {**trained.notebook_files, **artifact(bundle)})
    if promoted:
        promote(models, bundle.version)
    for name, value in bundle.metadata.metrics.items():
        print(f"{name:22} {value:.5g}")
    serving = (models / CURRENT).resolve() == folder.resolve()
    later = f"is saved; make it current with `vouch models promote {bundle.version}`"
    print(f"{folder} {'is the current model' if serving else later}")
    return 0


def _manifest(dataset: Path) -> Any:
    """Return the manifest of a generated dataset; None if there is none."""
    path = dataset.with_name(dataset.name + ".manifest.json")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
