"""`make chaos`: every scenario with its full counts, within a quarter of an hour. Writes bench/results/chaos.json."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from chaos.casework import Race, race
from chaos.doors.batches import batches_beside_singles
from chaos.doors.certificates import renew_certificates
from chaos.doors.fuzz import fuzz
from chaos.doors.idlers import idle_beside
from chaos.doors.replicas import hang_a_replica, kill_replicas
from chaos.doors.schemas import check_all
from chaos.ends import drain_replicas, kill_workers
from chaos.ledgers import LedgerKept, kill_agents
from chaos.outages import stop_scorer
from chaos.overload import Overloaded, overload_batches, overload_reviews
from chaos.policies import swap_policies
from chaos.swaps import swap_models
from chaos.tamperings import tamper
from chaos.watchers import watch
from testing.default_model import train_default
from testing.load import Outcome
from testing.results import entry, write
from testing.servers.postgres import binaries, running

KILLS, SWAPS, DRAINS, CASES, FLOOD_SECONDS = 20, 50, 6, 10_000, 20.0
POLICY_SWAPS = 300
IDLERS = 1000
BATCHES, ORDERS_IN_A_BATCH, HOSTILE_ROUNDS = 6, 500, 5
RENEWALS = 20
EXAMPLES = 120
AGENT_KILLS, DATABASE_KILLS, REVIEWS_A_SECOND = 30, 5, 200
RACED = 1000
REPLICA_KILLS, REPLICA_RATE = 10, 300
WATCHERS, WATCHED_CASES = 500, 300
OUTAGE_SECONDS, TAMPERINGS, LEDGERS = 10.0, 1000, 20
_MEGABYTE = 1e6


class Report:
    """Collects figures and says which are not what they must be."""

    def __init__(self) -> None:
        self.entries: dict[str, dict[str, object]] = {}
        self.failed: list[str] = []

    def keep(self, name: str, values: float | Sequence[float], unit: str, most: float | None = None) -> None:
        """Keep a figure; with `most`, its largest value must not be above it."""
        numbers = [float(value) for value in values] if isinstance(values, Sequence) else [float(values)]
        self.entries[name] = entry(numbers, unit)
        if most is not None and not max(numbers) <= most:
            self.failed.append(f"{name} is {max(numbers):g} {unit}, at most {most:g} was wanted")

    def outcome(self, name: str, outcome: Outcome) -> None:
        """Calls of a scenario: none may fail, none may be lost."""
        self.keep(f"{name}_calls", outcome.sent, "calls")
        self.keep(f"{name}_failures", outcome.failures.total(), "calls", 0)
        self.keep(f"{name}_lost", outcome.lost, "calls", 0)

    def ledger(self, name: str, kept: LedgerKept) -> None:
        """What was acknowledged against what is kept."""
        self.keep(f"{name}_calls", kept.outcome.sent, "calls")
        self.keep(f"{name}_acknowledged", len(kept.outcome.answers), "calls")
        for what in ("missing", "different", "doubled", "lost_cases", "other_answers", "other_history"):
            self.keep(f"{name}_{what}", getattr(kept, what), "records", 0)
        self.keep(f"{name}_filled_fields", kept.filled, "fields")
        if kept.broken:
            self.failed.append(f"{name}: {kept.broken}")

    def race(self, raced: Race) -> None:
        """Reviewers who race for cases."""
        for what in ("resolved", "late_refused", "cut_off"):
            self.keep(f"casework_{what}", getattr(raced, what), "calls")
        for what in ("unresolved", "resolved_twice", "forged_accepted", "late_accepted", "other_verdict", "disorder"):
            self.keep(f"casework_{what}", getattr(raced, what), "cases", 0)

    def flood(self, name: str, overloaded: Overloaded, most: float | None) -> None:
        """Figures of an overload; `most` is how many times the unloaded p99 the accepted calls' may be."""
        self.keep(f"{name}_p99_ratio", overloaded.p99_ratio, "ratio", most)
        self.keep(f"{name}_unloaded_p99", overloaded.unloaded_p99 * 1000, "ms")
        self.keep(f"{name}_capacity", overloaded.capacity, "calls/s")
        self.keep(f"{name}_accepted", len(overloaded.flood.answers), "calls")
        self.keep(f"{name}_refused", overloaded.flood.failures["RESOURCE_EXHAUSTED"], "calls")
        others = overloaded.flood.failures.total() - overloaded.flood.failures["RESOURCE_EXHAUSTED"]
        self.keep(f"{name}_other_failures", others, "calls", 0)
        self.keep(f"{name}_without_retry_info", len(overloaded.flood.errors) - overloaded.with_retry_info, "calls", 0)
        growth = (overloaded.resident_peak - overloaded.resident_before) / _MEGABYTE
        self.keep(f"{name}_growth", growth, "MB", 100)
        self.keep(f"{name}_failures_1s_after", overloaded.after.failures.total(), "calls", 0)
        self.keep(f"{name}_p99_1s_after_ratio", overloaded.after.latency(0.99) / overloaded.unloaded_p99, "ratio")


async def experiments(folder: Path, models: Path) -> Report:
    """Run everything, one scenario after another."""
    report = Report()

    def folder_for(name: str) -> Path:
        (folder / name).mkdir()
        print(f"-- {name}", flush=True)
        return folder / name

    killed = await kill_workers(folder_for("kills"), models, KILLS, rate=500)
    report.outcome("kill", killed.outcome)
    report.keep("kill_recovery", killed.recoveries, "s", 2)
    swapped = await swap_models(folder_for("swaps"), models, SWAPS, rate=200)
    report.outcome("swap", swapped.outcome)
    report.keep("swap_wrong_version", swapped.wrong, "answers", 0)
    report.keep("swap_seconds", swapped.seconds, "s")
    policies = await swap_policies(folder_for("policies"), models, POLICY_SWAPS, 10)
    report.keep("policy_swaps", policies.served, "policies")
    report.keep("policy_swap_calls", policies.calls, "calls")
    report.keep("policy_swap_wrong", policies.wrong, "answers", 0)
    drained = await drain_replicas(folder_for("drains"), models, DRAINS, rate=300)
    report.outcome("drain", drained.outcome)
    report.keep("drain_exit_code", drained.codes, "code", 0)
    report.flood("overload_review", await overload_reviews(folder_for("reviews"), models, FLOOD_SECONDS), 5)
    report.flood("overload_batch", await overload_batches(folder_for("batches"), models, FLOOD_SECONDS), None)
    beside = await batches_beside_singles(folder_for("beside"), models, BATCHES, ORDERS_IN_A_BATCH, HOSTILE_ROUNDS)
    for name, statuses in (("single_reviews", beside.singles), ("batched_orders", beside.batched)):
        report.keep(f"beside_{name}", statuses.total(), "orders")
        report.keep(f"beside_{name}_not_answered", statuses.total() - statuses[200], "orders", 0)
    report.keep("beside_batched_orders_lost", BATCHES * ORDERS_IN_A_BATCH - beside.batched.total(), "orders", 0)
    report.keep("beside_hostile_requests", beside.hostile.total(), "requests")
    for links in (False, True):
        name = "certificates_linked" if links else "certificates"
        renewed = await renew_certificates(folder_for(name), models, RENEWALS, rate=40, links=links)
        report.outcome(name, renewed.outcome)
        report.keep(f"{name}_renewed", renewed.renewals, "times")
    idled = await idle_beside(folder_for("idlers"), models, IDLERS, rate=50, seconds=10.0)
    report.outcome("idlers", idled.beside)
    report.keep("idlers_p99_ratio", idled.p99_ratio, "ratio", 1.5)
    await ledgers(report, folder_for, models)
    report.race(await race(folder_for("casework"), RACED))
    watched = await watch(folder_for("watchers"), WATCHERS, WATCHED_CASES)
    report.keep("watchers", watched.watchers, "watchers")
    report.keep("watchers_changes", watched.changes, "changes")
    report.keep("watchers_reconnected", watched.reconnected, "times")
    for what in ("missed", "doubled", "disorder"):
        report.keep(f"watchers_{what}", getattr(watched, what), "changes", 0)
    fuzzed = await fuzz(folder_for("fuzz"), models, CASES)
    report.keep("fuzz_calls", fuzzed.statuses.total(), "calls")
    report.keep("fuzz_bad_statuses", sum(fuzzed.bad.values()), "calls", 0)
    report.keep("fuzz_growth", (fuzzed.resident_after - fuzzed.resident_before) / _MEGABYTE, "MB", 30)
    if not fuzzed.alive:
        report.failed.append("a server died of fuzzing")
    checked = await asyncio.to_thread(check_all, folder_for("schemas"), models, EXAMPLES)
    report.keep("schemas_examples", checked.examples, "requests")
    report.keep("schemas_failures", len(checked.failures), "failures", 0)
    report.failed += checked.failures
    return report


async def ledgers(report: Report, folder_for: Callable[[str], Path], models: Path) -> None:
    """What the ledger promises, on both databases."""
    report.ledger(
        "ledger_sqlite", await kill_agents(folder_for("ledger-sqlite"), models, AGENT_KILLS, REVIEWS_A_SECOND)
    )
    if binaries() is None:
        print("PostgreSQL is not installed (Debian: postgresql): its scenarios are left out", file=sys.stderr)
    else:
        with tempfile.TemporaryDirectory(prefix="vouch-pg-") as home, running(Path(home)) as postgres:
            killed = await kill_agents(
                folder_for("ledger-postgres"),
                models,
                AGENT_KILLS,
                REVIEWS_A_SECOND,
                agents=2,
                url=postgres.new_database(),
            )
            report.ledger("ledger_postgres", killed)
            killed = await kill_agents(
                folder_for("postgres-kills"), models, DATABASE_KILLS, REVIEWS_A_SECOND, agents=2,
                url=postgres.new_database(), postgres=postgres,
            )  # fmt: skip
            report.ledger("postgres_killed", killed)
            await replicas(report, folder_for, models, postgres.new_database)
    outage = await stop_scorer(folder_for("outage"), models, REVIEWS_A_SECOND, OUTAGE_SECONDS)
    report.outcome("outage", outage.away)
    report.keep("outage_unseen_approvals", outage.unseen_approvals, "answers", 0)
    report.keep("outage_degraded", outage.degraded, "answers")
    report.keep("outage_degraded_p99", outage.degraded_p99 * 1000, "ms", 50)
    report.keep("outage_back_after", outage.back_after, "s", 2)
    report.keep("outage_scored_after", outage.scored_after, "s", 10)
    tampered = await tamper(folder_for("tamperings"), TAMPERINGS, LEDGERS)
    report.keep("tamperings", tampered.tamperings, "tamperings")
    report.keep("tamperings_missed", tampered.missed, "tamperings", 0)
    report.keep("tamperings_misnamed", tampered.misnamed, "tamperings", 0)
    report.keep("untouched_ledgers_suspected", tampered.suspected, "ledgers", 0)


async def replicas(report: Report, folder_for: Callable[[str], Path], models: Path, new_url: Callable[[], str]) -> None:
    """Two of each behind the edge, on one PostgreSQL."""
    survived = await kill_replicas(folder_for("replicas"), models, new_url(), REPLICA_KILLS, REPLICA_RATE)
    report.outcome("replicas", survived.outcome)
    report.keep("replicas_killed", survived.kills, "kills")
    report.keep("replicas_missing", survived.missing, "records", 0)
    report.keep("replicas_doubled", survived.doubled, "records", 0)
    report.keep("replicas_p99", survived.outcome.latency(0.99) * 1000, "ms")
    hung = await hang_a_replica(folder_for("hanging"), models, new_url(), REPLICA_RATE)
    # Refused is what nobody had a place for, until the hanging one was put aside.
    refused = hung.outcome.failures["RESOURCE_EXHAUSTED"]
    report.keep("hanging_calls", hung.outcome.sent, "calls")
    report.keep("hanging_refused", refused, "calls")
    report.keep("hanging_other_failures", hung.outcome.failures.total() - refused + hung.outcome.lost, "calls", 0)
    report.keep("hanging_recovered_after", hung.recovered_after, "s", 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code: 0 all as wanted, 1 something was not."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Every scenario with its full counts.")
    parser.add_argument("--models-dir", type=Path, help="models to serve (default: train the default model anew)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vouch-chaos-") as folder:
        (Path(folder) / "trained").mkdir()
        models = options.models_dir.resolve() if options.models_dir else train_default(Path(folder) / "trained")
        report = asyncio.run(experiments(Path(folder), models))
    write("chaos", report.entries)
    for line in report.failed:
        print(f"chaos: {line}", file=sys.stderr)
    return 1 if report.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
