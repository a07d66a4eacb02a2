"""Figures over versions: what a run adds, how it is shown, and that a bench says what it did not measure."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import mlserver, serving
from bench.harness import load
from testing.reports.machine import describe_run
from testing.reports.results import entry
from testing.reports.versions import FILE, TRACKED, add_figures, read_versions, to_svg, to_table


def test_figures_of_a_commit_are_one_entry(tmp_path: Path) -> None:
    """Benches of one commit share an entry, a repeated run replaces its figures, and only tracked ones are added."""
    file, machine = tmp_path / "history.json", {"commit": "1234567", "cores": 2}
    add_figures({"mlserver": entry([2.0], "ratio"), "rss_mb": entry([190.0], "MB")}, machine | {"model": "trees"}, file)
    add_figures({"review_memory_cost": entry([0.3], "ratio")}, machine, file)
    add_figures({"mlserver": entry([2.5], "ratio")}, machine, file)
    add_figures({"rss_mb": entry([190.0], "MB")}, machine | {"commit": "other"}, file)
    add_figures({"mlserver": entry([2.6], "ratio")}, machine | {"commit": "7654321"}, file)
    first, second = read_versions(file)
    assert (first["commit"], first["model"]) == ("1234567", "trees")
    assert first["figures"] == {"mlserver": 2.5, "review_memory_cost": 0.3}
    assert (second["commit"], second["figures"]) == ("7654321", {"mlserver": 2.6})


def test_every_version_is_in_table_and_plot() -> None:
    """Each figure of history.json is a cell of the table and a point of the plot, which is well-formed."""
    entries = read_versions()
    table, plot = to_table(entries), ElementTree.fromstring(to_svg(entries))
    points = sum(len(one["figures"]) for one in entries)
    assert points >= 20 and sum(node.tag.endswith("circle") for node in plot.iter()) == points
    for one in entries:
        (row,) = (line for line in table.splitlines() if line.startswith(f"| {one['commit']} |"))
        assert sum(bool(cell.strip()) for cell in row.split("|")[4:-1]) == len(one["figures"])
        assert set(one["figures"]) <= set(TRACKED)


def test_a_run_names_machine_commit_and_model() -> None:
    """A result says on which machine, from which commit and with which form of model it was measured."""
    described = describe_run("trees")
    assert described["model"] == "trees" and all(described[name] for name in ("cores", "python", "kernel", "commit"))
    assert "model" not in describe_run()


def test_a_missing_part_stops_the_bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """If MLServer cannot be installed, `make bench` ends with 2 before it measures, and says how to leave it out."""

    def fail() -> Any:
        raise OSError("no network")

    monkeypatch.setattr(mlserver, "install", fail)
    monkeypatch.setattr(load, "missing", list)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    before = json.loads(FILE.read_text())
    assert serving.main([]) == 2
    assert "MLServer cannot be installed: no network; --without-mlserver" in capsys.readouterr().err
    assert json.loads(FILE.read_text()) == before
