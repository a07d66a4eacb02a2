"""Backups and restores under load, some killed with -9: each successful backup restores to a complete ledger."""

import asyncio
import contextlib
import os
import random
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import Message

from agent_server.audit.verify import verify_ledger
from agent_server.database.copies import restoring_path
from agent_server.database.engine import path_of
from agent_server.ledger import reading
from agent_server.ledger.queries import DecisionFilter, record_page
from chaos.ledger.retrying import RetryingCaller
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1.agent_service_pb2_grpc import AgentServiceStub
from testing.load import Outcome, Traffic
from testing.servers.clients import AGENT, channel, order
from testing.servers.launching import PYTHON, Process, launch
from testing.servers.replicas import agent as agent_replica
from testing.servers.replicas import running, scorer
from testing.waiting import wait_for

ANSWERS = 40
"""Reviews between two backups."""
_PAGE = 1000
_WORK_SECONDS, _COMMAND_SECONDS = 0.1, 2.0
"""Longest time of a copy with its check, and of a whole command with its start, for those that are killed."""


@dataclass
class BackupResult:
    """Results. All counts from `unwanted` on must be 0, and `broken` empty."""

    outcome: Outcome = field(repr=False)
    retried: int = 0
    """Refusals after which a review was retried."""
    complete: int = 0
    killed: int = 0
    restores_killed: int = 0
    unwanted: int = 0
    """Restores over a ledger in use that were not refused."""
    failed: int = 0
    """Backups and restores that failed without being killed."""
    missing: int = 0
    """Reviews that were acknowledged before a complete backup began and are missing from its restored ledger."""
    lost: int = 0
    """Reviews that are missing from the ledger itself at the end."""
    broken: list[str] = field(default_factory=list)
    """Errors that verification found in restored ledgers."""


async def back_up_under_load(
    folder: Path, models: Path, backups: int, rate: float, *, url: str = "", new_url: Callable[[], str] | None = None,
    agents: int = 1, between: int = ANSWERS,
) -> BackupResult:  # fmt: skip
    """Take `backups` backups under reviews at a rate, and restore each.

    Before each, kill a backup and a restore at a random moment. `new_url` creates the database to restore to; the
    default is SQLite in the folder.
    """
    url, chance = url or f"sqlite:///{folder / 'ledger.db'}", random.Random(1)
    behind = scorer(folder, models)
    fronts = [agent_replica(folder, behind.address, ledger_url=url) for _ in range(agents)]
    retrying = RetryingCaller()
    with running(behind, *fronts):
        await asyncio.to_thread(wait_for, behind.serving, what="the scorer serving")
        for front in fronts:
            await asyncio.to_thread(wait_for, front.listening, what="an agent listening")
        async with (
            channel([front.address for front in fronts], AGENT) as opened,
            Traffic(_reviews(AgentServiceStub(opened), retrying), rate) as traffic,
        ):
            result = BackupResult(traffic.outcome)
            for number in range(backups):
                await traffic.answers(between)
                backup = folder / f"backup-{number}.db"
                target = new_url() if new_url else f"sqlite:///{folder / f'restored-{number}.db'}"
                if number:
                    result.killed += await _kill(
                        url, "backup", backup, _partial(backup), chance.uniform(0, _WORK_SECONDS)
                    )
                if backup.exists():  # it was complete before the kill
                    await _check_restore(result, backup, target, set(), chance)
                before = _acknowledged(traffic.outcome)
                if await _run(url, "backup", backup, force=True):
                    result.failed += 1
                    continue
                result.complete += 1
                result.unwanted += await _run(url, "restore", backup, force=url.startswith("sqlite")) == 0
                await _check_restore(result, backup, target, before, chance)
    result.retried = retrying.count
    after, _ = await asyncio.to_thread(_read, url)
    result.lost = len(_acknowledged(traffic.outcome) - after)
    return result


def _reviews(stub: AgentServiceStub, retrying: RetryingCaller) -> Callable[[], Awaitable[Message]]:
    number = 0

    def call() -> Awaitable[Message]:
        nonlocal number
        number += 1
        request = pb.ReviewRequest(transaction=order(f"backed-{number}"))
        return retrying.send(lambda: stub.Review(request, timeout=20))

    return call


def _partial(backup: Path) -> Path:
    """Return the path of a backup before it is complete."""
    return backup.with_name(f".{backup.name}.partial")


def _acknowledged(outcome: Outcome) -> set[str]:
    return {answer.transaction_id for _, answer in outcome.answers if isinstance(answer, pb.ReviewResponse)}


async def _check_restore(
    result: BackupResult, backup: Path, target: str, wanted: Iterable[str], chance: random.Random
) -> None:
    """Kill a restore at a random moment, restore again, and compare with the reviews acknowledged before the backup."""
    path = path_of(target)
    begins, latest = (restoring_path(path), _WORK_SECONDS) if path else (None, _COMMAND_SECONDS)
    result.restores_killed += await _kill(target, "restore", backup, begins, chance.uniform(0, latest))
    if await _run(target, "restore", backup, force=True):
        result.failed += 1
        return
    there, broken = await asyncio.to_thread(_read, target)
    result.missing += len(set(wanted) - there)
    result.broken += [broken] if broken else []


def _read(url: str) -> tuple[set[str], str]:
    """Return the reviews in a ledger, and the errors of its verification."""
    found = set[str]()
    with reading(url) as connection:
        position: int | None = 0
        while position is not None:
            page, position = record_page(DecisionFilter(), position, _PAGE)(connection)
            found |= {record.transaction_id for record in page}
        return found, verify_ledger(connection, None).broken


async def _kill(url: str, action: str, backup: Path, begins: Path | None, after: float) -> bool:
    """Start a command, kill it `after` seconds after `begins` appears, and return whether it was still running."""
    process = _command(url, action, backup, force=True)

    def wait() -> None:
        while begins is not None and not begins.exists() and process.poll() is None:
            time.sleep(0.002)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        process.kill()

    await asyncio.to_thread(wait)
    return process.wait() < 0


async def _run(url: str, action: str, backup: Path, *, force: bool) -> int:
    """Run a command and return its exit code."""
    return await asyncio.to_thread(_command(url, action, backup, force=force).wait)


def _command(url: str, action: str, backup: Path, *, force: bool) -> Process:
    options = ["--force"] if force else []
    command = [PYTHON, "vouch.py", "ledger", "--ledger", url, action, str(backup), *options]
    with open(os.devnull, "wb") as nothing:
        return launch(command, stdout=nothing.fileno(), stderr=nothing.fileno())
