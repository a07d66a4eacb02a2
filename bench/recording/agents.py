"""Second part of `make bench-ledger`: several agents that record on one PostgreSQL, against one. Orders are not scored.

Each agent is a process with the real decider, policy, history and ledger, and with callers that do not wait between two
orders. Scores are constants and there is no gRPC, so that the agents share nothing but the database.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from agent_server.audit.verify import verify_ledger
from agent_server.database.engine import snapshot, writing
from agent_server.decider import Decider
from agent_server.decisions.policy import Policy
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import MEMORY
from agent_server.policies.current import CurrentPolicy
from contract.thresholds import APPROVE_FROM, DENY_UP_TO
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from generated.vouch.v1.scoring_service_pb2 import PredictResponse, Reason
from generated.vouch.v1.transaction_pb2 import Transaction
from history.definitions import NAMES
from runtime.errors import Unavailable
from runtime.process.event_loop import tune_gc
from testing.inputs.orders import message
from testing.reports.results import add, entry
from testing.servers.postgres import Postgres, binaries, running

AGENTS, CALLERS, ROUNDS, SECONDS = 4, 16, 9, 1.5
_CUSTOMERS = 2000
_SCORES = (0.95, 0.92, 0.9, 0.88, 0.85, 0.8, 0.75, 0.55, 0.3, 0.1)
"""Scores of orders, in turns: seven of ten are approved, one is sent to review, two are denied."""


class FixedScores:
    """Scores without a scorer: every order has the next of _SCORES, and candidates for counterfactuals have none."""

    def __init__(self) -> None:
        self._number = 0
        reasons = [Reason(feature="email_domain_kind", field="email_domain", value="mail.com", contribution=-0.4)]
        self._answers = [
            PredictResponse(legitimacy_score=score, model_version="fixed", reasons=reasons) for score in _SCORES
        ]

    async def predict(self, transaction: Transaction, call: Any) -> PredictResponse:
        """Return the next answer."""
        self._number += 1
        return self._answers[self._number % len(self._answers)]

    async def predict_candidates(self, orders: Sequence[Transaction], seconds: float) -> list[PredictResponse]:
        """Return no answers."""
        raise Unavailable("orders are not scored", reason=ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE)


async def _decide_for(decider: Decider, seconds: float, callers: int) -> tuple[int, float]:
    """Decide orders by a number of callers for some seconds; return their number and the CPU seconds they took."""
    call: Any = SimpleNamespace(caller=SimpleNamespace(name="shop"), request_id="request", remaining=None)
    end, done, cpu = time.monotonic() + seconds, 0, time.process_time()

    async def caller() -> None:
        nonlocal done
        while time.monotonic() < end:
            name = uuid.uuid4().hex
            customer = int(name[:6], 16) % _CUSTOMERS
            order = message(
                transaction_id=name, user_id=f"user-{customer}", device_id=f"device-{customer % 997}",
                card_id=f"card_{customer}", ip_address=f"198.51.{customer % 250}.{customer % 100 + 1}",
            )  # fmt: skip
            order.timestamp.GetCurrentTime()
            order.account_created_date.seconds = 1
            for field in NAMES:  # history completes them
                order.ClearField(field)
            await decider.decide(order, call)
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done, time.process_time() - cpu


def run_agent(url: str) -> None:
    """Decide as the lines of the standard input say, `seconds callers`; print the number and the CPU seconds."""
    tune_gc(first=True)
    sys.setswitchinterval(0.0005)  # as the agent does

    async def serve() -> None:
        ledger = Ledger(open_engine(url))
        scoring: Any = FixedScores()
        decider = Decider(scoring, CurrentPolicy(Policy(APPROVE_FROM, DENY_UP_TO)), ledger, use_history=True)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            seconds, callers = line.split()
            number, cpu = await _decide_for(decider, float(seconds), int(callers))
            print(number, cpu, flush=True)
        ledger.close()

    asyncio.run(serve())


@dataclass(frozen=True)
class Rate:
    """Decisions a second of some agents together, and the CPU microseconds of agents and PostgreSQL for each."""

    decisions: float
    agent_us: float
    postgres_us: float


class Agents:
    """Agents on one database, each with its own process."""

    def __init__(self, postgres: Postgres, url: str, number: int) -> None:
        self._postgres = postgres
        command = [sys.executable, "-m", "bench.recording.agents", "--agent", url]
        self._processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        for process in self._processes:
            self._line(process)

    def measure(self, number: int, callers: int, seconds: float) -> Rate:
        """Let the first agents decide at once, with a number of callers each."""
        used = self._processes[:number]
        before = self._postgres.cpu_seconds()
        for process in used:
            assert process.stdin is not None
            process.stdin.write(f"{seconds} {callers}\n")
            process.stdin.flush()
        answers = [self._line(process).split() for process in used]
        decided, cpu = sum(int(words[0]) for words in answers), sum(float(words[1]) for words in answers)
        postgres = self._postgres.cpu_seconds() - before
        return Rate(decided / seconds, cpu / decided * 1e6, postgres / decided * 1e6)

    @staticmethod
    def _line(process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError("an agent of the benchmark ended; its error is above")
        return line

    def close(self) -> None:
        """End all."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


def _extend_history(url: str) -> None:
    """Make the ledger, and let its history reach back to the beginning, so that all fields are known."""
    engine = open_engine(url)
    with writing(engine) as connection, connection.begin():
        connection.execute(MEMORY.update().values(since=0))
    engine.dispose()


@contextlib.contextmanager
def agents_on_postgres(number: int) -> Iterator[tuple[Agents, str]]:
    """Run agents on a new database of a PostgreSQL that syncs to disk; yield them and its URL."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vouch-pg-")))
        postgres = stack.enter_context(running(home, fsync="on", full_page_writes="on", shared_buffers="256MB"))
        url = postgres.new_database()
        _extend_history(url)
        agents = Agents(postgres, url, number)
        try:
            yield agents, url
        finally:
            agents.close()


def measure(rounds: int, seconds: float, callers: int) -> dict[str, list[float]]:
    """Return all results, round by round."""
    figures: dict[str, list[float]] = {}

    def figure(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with agents_on_postgres(AGENTS) as (agents, url):
        agents.measure(AGENTS, callers, min(seconds, 2.0))
        for _ in range(rounds):
            one, four = agents.measure(1, callers, seconds), agents.measure(AGENTS, callers, seconds)
            figure("one_agent_rate", one.decisions)
            figure("four_agents_rate", four.decisions)
            figure("four_agents_vs_one", four.decisions / one.decisions)
            for name, rate in (("one_agent", one), ("four_agents", four)):
                figure(f"{name}_cpu", rate.agent_us)
                figure(f"{name}_postgres_cpu", rate.postgres_us)
        engine = open_engine(url)
        with snapshot(engine) as connection:
            verified = verify_ledger(connection, None)
        engine.dispose()
        assert not verified.broken, verified.broken
    return figures


UNITS = {
    "one_agent_rate": "orders/s", "four_agents_rate": "orders/s", "one_agent_cpu": "us/order",
    "four_agents_cpu": "us/order", "one_agent_postgres_cpu": "us/order", "four_agents_postgres_cpu": "us/order",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write the results; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.recording.agents", description="Several agents on one PostgreSQL."
    )
    parser.add_argument("--short", action="store_true", help="run once for a moment and write no results")
    parser.add_argument("--agent", metavar="URL", help="be one of the agents, on the ledger at this URL")
    options = parser.parse_args(arguments)
    if options.agent:
        run_agent(options.agent)
        return 0
    if binaries() is None:
        print("PostgreSQL is not installed (Debian: postgresql); nothing was measured", file=sys.stderr)
        return 1
    figures = measure(1, 0.05, 2) if options.short else measure(ROUNDS, SECONDS, CALLERS)
    entries = {name: entry(values, UNITS.get(name, "ratio")) for name, values in figures.items()}
    add("ledger", entries, short=options.short)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
