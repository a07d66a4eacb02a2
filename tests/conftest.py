"""What tests share: one dataset, one model, one running stack."""

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
from testing.waiting import START_SECONDS, roomy_memory

ROWS = 20_000
_LONG = ("test_recipes.py", "chaos", "console", "doors", "edge", "listeners", "services", "runtime", "commands")
_WITH_PROCESSES = {
    "bench", "chaos", "console", "doors", "edge", "erasure", "listeners", "services", "test_dataset.py", "test_packages.py",
    "test_recipes.py", "test_stream.py", "test_typescript.py", "test_weights.py",
}  # fmt: skip
"""What `--fast` leaves out, as it mostly starts processes or takes long; elsewhere it skips a test as soon as it starts one."""
# How long an example takes is the machine's affair; what it gives is ours.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
# Two test processes on two cores: threads of OpenMP that wait for one another by spinning would slow all down.
os.environ["OMP_NUM_THREADS"] = "1"


# Every call by httpx makes a context for TLS, 60 ms of reading certificates, also where it only asks loopback: one will do.
_transport: Any = importlib.import_module("httpx._transports.default")
_transport.create_ssl_context = functools.cache(_transport.create_ssl_context)
# A call that says nothing of its timeout would give up after 5 s: on a busy machine that is no fault of a service.
_waiting: Any = importlib.import_module("httpx._config").DEFAULT_TIMEOUT_CONFIG
_waiting.connect = _waiting.read = _waiting.write = _waiting.pool = START_SECONDS


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--fast` is what `make test-fast` runs."""
    parser.addoption("--fast", action="store_true", help="only tests that start no process")


def pytest_configure(config: pytest.Config) -> None:
    """Tests must not depend on the settings of whoever runs them. Their processes are forked from one, for all workers."""
    for name in [name for name in os.environ if name.startswith("VOUCH_")]:
        del os.environ[name]
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    opened = contextlib.ExitStack()
    config.add_cleanup(opened.close)
    if config.option.basetemp is None and (folder := roomy_memory()):
        # Thousands of commits need not wait for a disk. Removed at the end, as memory is not where to keep things.
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
    """Files that start servers come first, in random order too: at the end no core then waits for the longest."""
    if config.option.fast:
        config.hook.pytest_deselected(items=[item for item in items if _WITH_PROCESSES & {*item.path.parts}])
        items[:] = [item for item in items if not _WITH_PROCESSES & {*item.path.parts}]
    items.sort(key=lambda item: next((at for at, part in enumerate(_LONG) if part in item.path.parts), len(_LONG)))


def pytest_collection_finish() -> None:
    """Leave what was imported and collected out of garbage collection: each would visit all of it, 15 CPU seconds in total."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """One client, so that a connection that was dropped shows."""
    with httpx.Client(timeout=START_SECONDS) as found:
        yield found


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all of pytest's worker processes share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time: the others wait, and find the work done."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def dataset(shared: Path) -> Path:
    """A labelled dataset, made by the command."""
    path = shared / "orders.csv"
    with alone(shared):
        if not path.exists():
            done = call("generate", "--size", str(ROWS), "--no-validate", "--output", str(path))
            assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="session")
def few(dataset: Path, shared: Path) -> Path:
    """The first 600 orders of the dataset: reading all of it takes longer than most of what is done with some."""
    path = shared / "few.csv"
    with alone(shared):
        if not path.exists():
            with dataset.open() as lines:
                path.write_text("".join(itertools.islice(lines, 601)))
    return path


@pytest.fixture(scope="session")
def table(dataset: Path) -> pa.Table:
    """The dataset as a table."""
    return read_table(dataset)


@pytest.fixture(scope="session")
def models(dataset: Path, shared: Path) -> Path:
    """A folder of models with one in it, made by the command; of fewer rounds than are best, which take a third of the time."""
    folder = shared / "models"
    with alone(shared):
        if not (folder / "current").exists():
            options = ("--models-dir", str(folder), "--form", "tables", "--rounds", "60")
            done = call("train", "--dataset", str(dataset), *options)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def model(models: Path) -> Bundle:
    """The model, loaded as serving loads it."""
    return load(models)


@pytest.fixture(scope="session")
def small_models(table: pa.Table, shared: Path) -> Path:
    """Folders `tables` and `trees`, each of models with a small one of that form in it, which loads quickly."""
    from ml_server.training.parameters import Parameters
    from ml_server.training.train import train

    folder = shared / "small"
    with alone(shared):
        for form in (TABLES, TREES):
            if not (folder / form / CURRENT).exists():
                trained = train(table.slice(0, 800), Parameters(form=form, rounds=5, folds=2, bags=1))
                bundle = trained.bundle.named("first", training_date="2026-01-01T00:00:00Z")
                save(folder / form, bundle, trained.notebook_files)
    return folder


@pytest.fixture(scope="session")
def postgres(shared: Path) -> Iterator[Postgres]:
    """A PostgreSQL of our own. Its vacuum would visit hundreds of databases, one after another, all the time.

    Each worker has one, as tests kill it, keep its log from ending, and search the files that its databases share.
    """
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    origin = shared / "postgres"
    origin.mkdir(exist_ok=True)
    with alone(origin):
        if not (origin / "made").exists():
            from testing.ledger.templates import (
                make_server_with_template,  # not in the process that only hands out tests
            )

            make_server_with_template(origin)
            (origin / "made").touch()
    with (
        tempfile.TemporaryDirectory(prefix="vouch-pg-", dir=roomy_memory()) as folder,
        running(Path(folder), like=origin, by_socket=True, autovacuum="off") as server,
    ):
        yield server


@pytest.fixture(scope="session")
def stack(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, running."""
    services = Stack(tmp_path_factory.mktemp("stack"), models)
    try:
        services.start("ml", "agent", "rest_ml", "rest_agent", "edge")
        services.wait_until_healthy()
        yield services
    finally:
        services.close()
