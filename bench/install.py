"""`python -m bench.install`: size, number of packages and import time of an install with each extra.

Builds the wheel, installs it with uv into a new environment for each extra, with the newest versions of the registry
or the cache, and runs the first steps of the extra. Sizes are without bytecode. An import time is the median of the
CPU seconds of a new process that imports what the role starts, less those of an empty one, with bytecode.

    python -m bench.install --python 3.12 --python 3.13    # only tries other versions, and writes nothing
"""

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from testing.distribution.environments import InstalledStack, build_wheel, output_of, variables
from testing.distribution.extras import ROLES
from testing.reports.results import entry, write
from testing.servers.processes import ROOT

EXTRAS = ("none", *ROLES)
STARTS = {
    "none": "vouch_client", "scorer": "ml_server.__main__", "agent": "agent_server.__main__",
    "train": "ml_server.commands.train",
    "edge": "http_bridge.agent", "console": "console.__main__", "load": "load_test.cli", "postgres": "psycopg",
    "all": "stack.serve",
}  # fmt: skip
"""The module that is loaded when a role starts."""
FIRST_STEPS: Final[Mapping[str, Sequence[Sequence[str]]]] = {
    "none": [("-m", "vouch", "--help")],
    "train": [
        ("-m", "vouch", "generate", "--size", "600", "--output", "orders.csv", "--no-validate"),
        ("-m", "vouch", "train", "--dataset", "orders.csv", "--form", "tables", "--rounds", "5"),
        ("-m", "vouch", "score", "orders.csv", "--output", "scores.csv"),
        ("-c", "from vouch import Model; print(Model.load('models/current'))"),
    ],
    "agent": [("-m", "vouch", "audit", "--help"), ("-m", "vouch", "policy", "--help")],
    "load": [("-m", "vouch", "load", "--help")],
}
"""Commands that must succeed; `all` runs those of every extra."""
PANDAS = ("pandas", "pytz", "dateutil", "tzdata")
ROUNDS, MEGABYTE = 7, 1e6


def uv(*arguments: str) -> None:
    """Run uv. Raises CalledProcessError with its message on the terminal."""
    subprocess.run([_uv(), *arguments, "--quiet"], env=variables(), check=True)


def _uv() -> str:
    return shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")


def missing() -> str | None:
    """Return what an install lacks: uv, or a registry or cache with our dependencies. None if it lacks nothing."""
    if not Path(_uv()).exists():
        return "uv is not installed"
    command = [_uv(), "pip", "compile", "pyproject.toml", "--quiet", "--no-header"]
    found = subprocess.run(command, cwd=ROOT, env=variables(), capture_output=True, timeout=60, check=False)
    return None if found.returncode == 0 else "neither a registry nor uv's cache has the dependencies"


def install(wheel: Path, extra: str, folder: Path, python: str) -> Path:
    """Return Python of a new environment with the wheel and an extra, or `none`."""
    uv("venv", "--python", python, str(folder))
    program = folder / "bin" / "python"
    uv("pip", "install", "--python", str(program), str(wheel) + (f"[{extra}]" if extra != "none" else ""))
    return program


def site_of(python: Path) -> Path:
    """Return the folder of an environment's packages."""
    return next(python.parent.parent.glob("lib/python*/site-packages"))


def megabytes(folder: Path, names: Sequence[str] = ("",)) -> float:
    """Return the size of a folder's files, or of some entries of it, without bytecode."""
    files = [file for name in names for file in (folder / name).rglob("*") if file.suffix != ".pyc"]
    return sum(file.stat().st_size for file in files if file.is_file()) / MEGABYTE


def import_seconds(python: Path, folder: Path, module: str, rounds: int) -> list[float]:
    """Return the CPU seconds of importing a module, in interleaved rounds with an empty program."""
    output_of(python, folder, "-c", f"import {module}")  # writes the bytecode
    seconds = []
    for _ in range(rounds):
        pair = [_cpu_seconds(python, folder, program) for program in (f"import {module}", "pass")]
        seconds.append(max(pair[0] - pair[1], 0.0))
    return seconds


def _cpu_seconds(python: Path, folder: Path, program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    output_of(python, folder, "-c", program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_first_steps(python: Path, extra: str, folder: Path) -> None:
    """Run the first commands of an extra; each must succeed. With `all`, start every service and have an order decided."""
    chosen = list(FIRST_STEPS.values()) if extra == "all" else [FIRST_STEPS.get(extra, [])]
    for step in (step for steps in chosen for step in steps):
        output_of(python, folder, *step)
    if extra == "all":
        services = ("ml", "agent", "rest_ml", "rest_agent", "edge", "console")
        stack = InstalledStack(folder, folder / "models", pythons=dict.fromkeys(services, python))
        with contextlib.closing(stack):
            stack.start(*services)
            stack.wait_until_healthy()
            output_of(python, folder, str(ROOT / "examples" / "review.py"), stack.address("edge"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.install", description="Measure an install with each extra.")
    parser.add_argument("--short", action="store_true", help="two extras, one round, write no results")
    parser.add_argument("--python", action="append", metavar="VERSION", help="only try this version, or this program")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vouch-install-") as name:
        folder = Path(name)
        wheel = build_wheel(ROOT, folder / "dist")
        for number, version in enumerate(options.python or ()):
            for extra in EXTRAS:
                _try(wheel, version, extra, folder / f"{number}-{extra}")
        if not options.python:
            measure(wheel, folder, EXTRAS[:1] if options.short else EXTRAS, short=options.short)
    return 0


def _try(wheel: Path, version: str, extra: str, folder: Path) -> None:
    python = install(wheel, extra, folder, version)
    output_of(python, folder, "-c", f"import vouch, {STARTS[extra]}")
    run_first_steps(python, extra, folder)
    print(f"Python {output_of(python, folder, '-V').split()[1]}, {extra}: works", flush=True)


def measure(wheel: Path, folder: Path, extras: Sequence[str], *, short: bool) -> None:
    """Install each extra, run its first steps, and write its figures."""
    figures = {}
    for extra in extras:
        python = install(wheel, extra, folder / extra, sys.executable)
        site = site_of(python)
        figures[f"{extra}_size"] = entry([megabytes(site)], "MB")
        figures[f"{extra}_packages"] = entry([len([*site.glob("*.dist-info")])], "")
        seconds = import_seconds(python, folder, STARTS[extra], 1 if short else ROUNDS)
        figures[f"{extra}_import"] = entry(seconds, "s of CPU")
        work = folder / f"work-{extra}"
        work.mkdir()
        run_first_steps(python, extra, work)
        if extra == "train":
            figures["pandas_size"] = entry([megabytes(site, PANDAS)], "MB")
            figures["pandas_import"] = entry(import_seconds(python, folder, "pandas", ROUNDS), "s of CPU")
    write("install", figures, short=short)


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.exit(main())
