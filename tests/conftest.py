"""Fixtures of all tests: one dataset, one model, one running stack."""

import contextlib
import fcntl
import functools
import gc
import importlib
import itertools
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hypothesis
import pyarrow as pa
import pytest

from contract.tables import read_table
from ml_server.registry.bundle import TABLES, TREES, Bundle
from ml_server.registry.store import CURRENT, load, save
from testing.servers.launching import fork_server
from testing.servers.postgres import Postgres, binaries, running
from testing.servers.processes import Stack, call
from testing.waiting import START_SECONDS, memory_folder

ROWS = 20_000
_LONG = ("test_recipes.py", "chaos", "console", "transports", "edge", "listeners", "services", "runtime", "commands")
_WITH_PROCESSES = {
    "bench", "chaos", "console", "transports", "edge", "erasure", "listeners", "services", "test_dataset.py",
    "distribution", "test_recipes.py", "test_stream.py", "test_typescript.py", "test_weights.py",
}  # fmt: skip
"""Tests that `--fast` skips, since most start processes or are slow; other tests are skipped once they start one."""
# The time of an example depends on the machine, so it has no limit.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
# Two test processes on two cores: OpenMP threads that spin while they wait for one another would slow down everything.
os.environ["OMP_NUM_THREADS"] = "1"


# Every httpx client creates a TLS context, 60 ms of reading certificates, also for loopback: share one.
_transport: Any = importlib.import_module("httpx._transports.default")
_transport.create_ssl_context = functools.cache(_transport.create_ssl_context)
# The default timeout of 5 s is too short on a busy machine.
_waiting: Any = importlib.import_module("httpx._config").DEFAULT_TIMEOUT_CONFIG
_waiting.connect = _waiting.read = _waiting.write = _waiting.pool = START_SECONDS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`, which `make test-fast` uses."""
    parser.addoption("--fast", action="store_true", help="only tests that start no process")


def pytest_configure(config: pytest.Config) -> None:
    """Clear the caller's settings from the environment, and fork the tests' processes from one, for all workers."""
    for name in [name for name in os.environ if name.startswith("VOUCH_")]:
        del os.environ[name]
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    opened = contextlib.ExitStack()
    config.add_cleanup(opened.close)
    if config.option.basetemp is None and (folder := memory_folder()):
        # Thousands of commits need not wait for a disk. Removed at the end, to free the memory.
        temporary = opened.enter_context(tempfile.TemporaryDirectory(prefix="vouch-tests-", dir=folder))
        config.option.basetemp = str(Path(temporary) / "base")
    if not config.option.fast:
        opened.enter_context(fork_server())


@pytest.fixture(scope="session", autouse=True)
def no_processes(pytestconfig: pytest.Config) -> Iterator[None]:
    """With `--fast`, skip a test at the moment that it starts a process."""

    def skip(*_: Any, **__: Any) -> None:
        pytest.skip("it starts a process, and --fast was given")

    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.option.fast:
            patch.setattr(subprocess.Popen, "__init__", skip)
        yield


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run files that start servers first, also in random order, so that no core waits for the longest at the end."""
    if config.option.fast:
        config.hook.pytest_deselected(items=[item for item in items if _WITH_PROCESSES & {*item.path.parts}])
        items[:] = [item for item in items if not _WITH_PROCESSES & {*item.path.parts}]
    items.sort(key=lambda item: next((at for at, part in enumerate(_LONG) if part in item.path.parts), len(_LONG)))


def pytest_collection_finish() -> None:
    """Exclude imported and collected objects from garbage collection: visiting them takes 15 CPU seconds in total."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Return one client, so that dropped connections are noticed."""
    with httpx.Client(timeout=START_SECONDS) as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all worker processes of pytest share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def one_process_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process run the block at a time: the others wait, and find the work done."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def dataset(shared: Path) -> Path:
    """Return a labelled dataset, made by the command."""
    path = shared / "orders.csv"
    with one_process_at_a_time(shared):
        if not path.exists():
            done = call("generate", "--size", str(ROWS), "--no-validate", "--output", str(path))
            assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def few(dataset: Path, shared: Path) -> Path:
    """Return the first 600 orders of the dataset: reading all of it takes longer than most uses of a few."""
    path = shared / "few.csv"
    with one_process_at_a_time(shared):
        if not path.exists():
            with dataset.open() as lines:
                path.write_text("".join(itertools.islice(lines, 601)))
    return path


@pytest.fixture(scope="session")
def table(dataset: Path) -> pa.Table:
    """Return the dataset as a table."""
    return read_table(dataset)


@pytest.fixture(scope="session")
def models(dataset: Path, shared: Path) -> Path:
    """Return a folder with one model, trained by the command with fewer rounds, in a third of the time."""
    folder = shared / "models"
    with one_process_at_a_time(shared):
        if not (folder / "current").exists():
            options = ("--models-dir", str(folder), "--form", "tables", "--rounds", "60")
            done = call("train", "--dataset", str(dataset), *options)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def model(models: Path) -> Bundle:
    """Return the model, loaded as in serving."""
    return load(models)


@pytest.fixture(scope="session")
def small_models(table: pa.Table, shared: Path) -> Path:
    """Return a folder with `tables` and `trees`, each with a small model of that form, which loads quickly."""
    from ml_server.training.parameters import Parameters
    from ml_server.training.train import train

    folder = shared / "small"
    with one_process_at_a_time(shared):
        for form in (TABLES, TREES):
            if not (folder / form / CURRENT).exists():
                trained = train(table.slice(0, 800), Parameters(form=form, rounds=5, folds=2, bags=1))
                bundle = trained.bundle.with_version("first", training_date="2026-01-01T00:00:00Z")
                save(folder / form, bundle, trained.notebook_files)
    return folder


@pytest.fixture(scope="session")
def postgres(shared: Path) -> Iterator[Postgres]:
    """Run a private PostgreSQL, without autovacuum: it would visit hundreds of databases in turn all the time.

    Each worker has one, as tests kill it, block its log, and search the files that its databases share.
    """
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    origin = shared / "postgres"
    origin.mkdir(exist_ok=True)
    with one_process_at_a_time(origin):
        if not (origin / "made").exists():
            from testing.ledger.templates import (
                make_server_with_template,  # not in the process that only distributes tests
            )

            make_server_with_template(origin)
            (origin / "made").touch()
    with (
        tempfile.TemporaryDirectory(prefix="vouch-pg-", dir=memory_folder()) as folder,
        running(Path(folder), like=origin, by_socket=True, autovacuum="off") as server,
    ):
        yield server


@pytest.fixture(scope="session")
def stack(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run all services."""
    services = Stack(tmp_path_factory.mktemp("stack"), models)
    try:
        services.start("ml", "agent", "rest_ml", "rest_agent", "edge")
        services.wait_until_healthy()
        yield services
    finally:
        services.close()
