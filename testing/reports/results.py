"""Results as files: {key: {"median", "min", "max", "unit"}}, with machine, commit and model that were measured."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from testing.reports.machine import describe_run
from testing.reports.versions import add_figures

FOLDER = Path(__file__).resolve().parents[2] / "bench" / "results"


def entry(values: Sequence[float], unit: str) -> dict[str, Any]:
    """Return the median, minimum and maximum of a figure."""
    rounded = [float(f"{value:.4g}") for value in (statistics.median(values), min(values), max(values))]
    return dict(zip(("median", "min", "max"), rounded, strict=True)) | {"unit": unit}


def add(name: str, entries: Mapping[str, Mapping[str, Any]], *, short: bool = False) -> None:
    """Merge entries into bench/results/<name>.json; entries of the same names are replaced."""
    if short:
        write(name, entries, short=True)
        return
    path = FOLDER / f"{name}.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    write(name, {key: value for key, value in known.items() if key != "machine"} | dict(entries))


def write(name: str, entries: Mapping[str, Mapping[str, Any]], *, short: bool = False, model: str = "") -> None:
    """Write bench/results/<name>.json and the history of versions, and print a table with machine, commit and model.

    Figures of a `short` run are printed and not written. `model` is the form of the model that was measured, if any.
    """
    machine = describe_run(model)
    if not short:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps({**entries, "machine": machine}, indent=2) + "\n")
        add_figures(entries, machine)
    print(", ".join(f"{key} {value}" for key, value in machine.items()))
    for key, value in entries.items():
        print(f"{key:34} {value['median']:>12,.4g} {value['unit']:10} ({value['min']:,.4g} to {value['max']:,.4g})")
