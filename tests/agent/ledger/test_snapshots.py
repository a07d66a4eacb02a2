"""Reads: each sees one state of the database, despite concurrent writes, and none can write."""

import ast
import asyncio
import concurrent.futures
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from agent_server.audit.verify import verify_entry
from agent_server.commands.audit import main as audit
from agent_server.database import engine as engines
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import latest_record
from agent_server.ledger.schema import ENTRIES, HEAD
from runtime.errors import Unavailable
from testing.commands import error_of_command
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger
from testing.servers.launching import run

ROOT = Path(__file__).parents[3]
PACKAGES = ("agent_server", "stack", "conformance", "console", "http_bridge", "contract", "history")
OPENS_CONNECTIONS = {
    "agent_server/database/engine.py": {"connect", "connect_reading", "writing", "snapshot", "_connect_file",
                                        "_connect_file_reading"},
    "agent_server/database/copies.py": {"_open"},
    "agent_server/database/pipelining.py": {"connect_pipelined"},
    "agent_server/privacy/log.py": {"_checkpoints"},
}  # fmt: skip
"""The functions that may open a database connection, by file. New code that reads uses `snapshot`."""
_OPENING = {"connect", "raw_connection", "create_engine", "create_async_engine"}
_NOT_DATABASES = {"socket", "asyncio", "grpc", "ScoringClient"}
READS = 50


def _calls(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the calls that open connections, each with its enclosing function."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                receiver = ast.unparse(node.func.value)
                opens = node.func.attr in _OPENING and receiver not in _NOT_DATABASES
                if opens or (node.func.attr == "begin" and receiver.endswith("engine")):
                    yield function.name, ast.unparse(node.func)


def test_no_read_goes_around_the_snapshot() -> None:
    """Only the listed functions open connections: a read with its own connection would compare two states."""
    found = [
        (str(path.relative_to(ROOT)), function, call)
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for function, call in _calls(ast.parse(path.read_text()))
    ]
    assert found, "the search finds nothing at all: has the database moved?"
    assert [(file, *rest) for file, *rest in found if rest[0] not in OPENS_CONNECTIONS.get(file, set())] == []
    assert {function for _, function, _ in found} == set().union(*OPENS_CONNECTIONS.values())


class Interrupted:
    """Appends a decision, from a thread and a connection of its own, after each statement of a reading engine."""

    def __init__(self, url: str) -> None:
        self._ledger, self.written = Ledger(open_engine(url)), 0
        self._pool = concurrent.futures.ThreadPoolExecutor(1)

    def watch(self, engine: Engine) -> None:
        """Write between the statements of this engine from now on."""
        sa.event.listen(engine, "after_cursor_execute", self._write)

    def _write(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            self.written += 1
            number = self.written
            self._pool.submit(lambda: asyncio.run(self._ledger.write(new_decision(f"between-{number}")))).result()

    def close(self) -> None:
        """Stop writing."""
        self._pool.shutdown()
        self._ledger.close()


@pytest.fixture
def interrupted(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Interrupted]:
    """Write between any two statements of reads of this ledger by `reading`."""
    somebody = Interrupted(ledger_url)
    original = engines.connect_reading

    def connect(url: str) -> Engine:
        engine = original(url)
        somebody.watch(engine)
        return engine

    monkeypatch.setattr("agent_server.ledger.migrate.connect_reading", connect)
    yield somebody
    somebody.close()


async def test_verifying_while_others_write_raises_no_alarm(ledger_url: str) -> None:
    """Fifty verifications of the newest entry, with a decision written between any two statements, find no fault."""
    somebody, engine = await asyncio.to_thread(Interrupted, ledger_url), open_engine(ledger_url)
    ledger = Ledger(engine)
    await ledger.write(new_decision("first"))
    somebody.watch(engine)

    problems = list[str]()
    for turn in range(READS):
        place = await ledger.read(functools.partial(verify_entry, sequence=somebody.written + 1))
        problems.append(place.problem)
        assert somebody.written == 3 * (turn + 1)  # one statement begins the snapshot
    assert problems == [""] * READS
    ledger.close()
    somebody.close()


def test_the_whole_ledger_verifies_while_others_write(
    ledger_url: str, interrupted: Interrupted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten runs each of `vouch audit verify` and of exports, with decisions written between statements, all verify."""
    asyncio.run(interrupted._ledger.write(new_decision("first")))
    for turn in range(10):
        before = interrupted.written
        assert audit(["--ledger", ledger_url, "verify"]) == 0, capsys.readouterr().err
        export = tmp_path / f"{turn}.jsonl"
        assert audit(["--ledger", ledger_url, "export", "--output", str(export)]) == 0
        assert interrupted.written > before + 2
        assert audit(["verify", str(export)]) == 0, capsys.readouterr().err


async def test_two_statements_of_a_read_see_one_state(ledger_url: str) -> None:
    """Two counts of one read are equal despite a write between them, and a read cannot write."""
    ledger, other = Ledger(open_engine(ledger_url)), Ledger(open_engine(ledger_url))
    loop = asyncio.get_running_loop()
    number = sa.select(sa.func.count()).select_from(ENTRIES)

    def counts(connection: sa.Connection) -> tuple[int, int]:
        first = connection.execute(number).scalar_one()
        asyncio.run_coroutine_threadsafe(other.write(new_decision(f"between-{first}")), loop).result()
        return first, connection.execute(number).scalar_one()

    assert [await ledger.read(counts) for _ in range(3)] == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(Unavailable):
        await ledger.read(lambda connection: connection.execute(HEAD.update().values(sequence=0)))
    assert await ledger.read(latest_record("tbetween-0")) is not None
    await ledger.write(new_decision("after"))  # connections of reads return to the pool unchanged
    assert await ledger.available(0)
    ledger.close()
    other.close()


@pytest.mark.parametrize("action", [
    ["audit", "verify"], ["audit", "export", "--output", "export.jsonl"], ["privacy", "find", "--user", "u"],
    ["privacy", "export", "--user", "u"], ["labels", "export", "--output", "labels.csv"],
    ["history", "export", "--output", "history.csv"], ["policy", "test", "policy.yaml", "--ledger"],
])  # fmt: skip
def test_commands_that_read_make_and_change_nothing(
    action: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a mistyped path reading commands exit with 2, name it and create no file; they never migrate."""
    folder, policy = tmp_path / "work", tmp_path / "policy.yaml"
    folder.mkdir()
    policy.write_text("minimum_evidence: 3\n")
    monkeypatch.chdir(folder)
    arguments = [str(policy) if argument == policy.name else argument for argument in action]

    def run(url: str) -> str:
        monkeypatch.setenv("VOUCH_AGENT_LEDGER_URL", url)
        return error_of_command(capsys, *arguments)

    assert "there is no ledger at" in run("sqlite:///mistyped.db")
    assert list(folder.iterdir()) == []
    (folder / "empty.db").touch()
    assert "holds no ledger" in run("sqlite:///empty.db")
    engine = open_engine(new_ledger(Path("ledger.db")))
    for version, word in (("0006", "older program"), ("9999", "newer program")):
        with engines.writing(engine) as connection, connection.begin():
            connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{version}'"))
        assert word in run("sqlite:///ledger.db")
        with engines.snapshot(engine) as connection:
            assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == version
    engine.dispose()


def test_a_ledger_is_read_without_any_right_to_write() -> None:
    """An auditor with read-only access to folder and file verifies a ledger that is not in use, and leaves no file."""
    with tempfile.TemporaryDirectory(
        prefix="vouch-read-only-"
    ) as name:  # pytest's own folders are closed to other users
        folder, path = Path(name), Path(name) / "ledger.db"
        ledger = Ledger(open_engine(new_ledger(path)))
        asyncio.run(ledger.write(new_decision(1)))
        ledger.close()
        path.chmod(0o444)
        folder.chmod(0o555)
        before = sorted(folder.iterdir())
        assert _verify_unprivileged(f"sqlite:///{path}") == 0
        assert sorted(folder.iterdir()) == before
        folder.chmod(0o755)


def _verify_unprivileged(url: str) -> int:
    """Verify in a process without root's rights, as root may write anywhere; return its exit code."""
    return run("-m", "testing.as_nobody", url).returncode


def test_migrations_have_no_time_limit(ledger_url: str) -> None:
    """PostgreSQL's timeouts end neither an index of a large ledger nor the agents that wait for it."""
    if not ledger_url.startswith("postgresql"):
        pytest.skip("SQLite has no time limit for statements")
    limit, limits = sa.text("SHOW statement_timeout"), list[str]()

    def migrating(connection: Any) -> None:
        limits.extend([connection.execute(limit).scalar(), connection.execute(sa.text("SHOW lock_timeout")).scalar()])

    monkey = pytest.MonkeyPatch()
    monkey.setattr("agent_server.ledger.migrate.migrate", migrating)
    open_engine(ledger_url).dispose()
    monkey.undo()
    engine = open_engine(ledger_url)
    with engines.snapshot(engine) as connection:
        assert connection.execute(limit).scalar() == "30s"
    engine.dispose()
    assert limits == ["0", "1min"]
