"""`make chaos`: run every scenario with its full counts, within 20 minutes, and write bench/results/chaos.json."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from agent_server.scoring.request_batcher import MAX_BATCHES
from chaos.casework import race_for_cases
from chaos.endpoints.batches import send_batches_and_singles
from chaos.endpoints.certificates import renew_certificates
from chaos.endpoints.fuzz import fuzz
from chaos.endpoints.idlers import review_beside_idle_clients
from chaos.endpoints.replicas import hang_a_replica, kill_replicas
from chaos.endpoints.schemas import check_all
from chaos.endpoints.watching import watch_at_the_edge
from chaos.ledger.backups import back_up_under_load
from chaos.ledger.erasures import erase_under_load
from chaos.ledger.kills import kill_agents
from chaos.ledger.power_loss import cut_power
from chaos.ledger.tamperings import tamper
from chaos.outages import stop_scorer
from chaos.overload import overload_batches, overload_reviews
from chaos.policies import swap_policies
from chaos.process_kills import drain_replicas, kill_workers
from chaos.report import MEGABYTE, Report
from chaos.slow_scorers import hold_scorer_calls
from chaos.swaps import swap_models
from chaos.watchers import watch
from testing.inputs.default_model import train_default
from testing.reports.results import write
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
SLOW_ROUNDS, SLOW_SECONDS = 10, 1.5
EDGE_WATCHERS, EDGE_REVIEWS, EDGE_SECONDS = 100, 300, 30.0
ERASED, READERS, BACKUPS = 5, 3, 8
CUTS, CUT_DECISIONS, CUT_CALLERS = 150, 2000, 16


async def run_scenarios(folder: Path, models: Path) -> Report:
    """Run all scenarios, one after another."""
    report = Report()

    def folder_for(name: str) -> Path:
        (folder / name).mkdir()
        print(f"-- {name}", flush=True)
        return folder / name

    killed = await kill_workers(folder_for("kills"), models, KILLS, rate=500)
    report.outcome("kill", killed.outcome)
    report.record("kill_recovery", killed.recoveries, "s", 2)
    swapped = await swap_models(folder_for("swaps"), models, SWAPS, rate=200)
    report.outcome("swap", swapped.outcome)
    report.record("swap_wrong_version", swapped.wrong, "answers", 0)
    report.record("swap_seconds", swapped.seconds, "s")
    policies = await swap_policies(folder_for("policies"), models, POLICY_SWAPS, 10)
    report.record("policy_swaps", policies.served, "policies")
    report.record("policy_swap_calls", policies.calls, "calls")
    report.record("policy_swap_wrong", policies.wrong, "answers", 0)
    drained = await drain_replicas(folder_for("drains"), models, DRAINS, rate=300)
    report.outcome("drain", drained.outcome)
    report.record("drain_exit_code", drained.codes, "code", 0)
    report.flood("overload_review", await overload_reviews(folder_for("reviews"), models, FLOOD_SECONDS), 5)
    report.flood("overload_batch", await overload_batches(folder_for("batches"), models, FLOOD_SECONDS), None)
    beside = await send_batches_and_singles(folder_for("beside"), models, BATCHES, ORDERS_IN_A_BATCH, HOSTILE_ROUNDS)
    for name, statuses in (("single_reviews", beside.singles), ("batched_orders", beside.batched)):
        report.record(f"beside_{name}", statuses.total(), "orders")
        report.record(f"beside_{name}_not_answered", statuses.total() - statuses[200], "orders", 0)
    report.record("beside_batched_orders_lost", BATCHES * ORDERS_IN_A_BATCH - beside.batched.total(), "orders", 0)
    report.record("beside_hostile_requests", beside.hostile.total(), "requests")
    await slow_scorers_and_watchers(report, folder_for, models)
    for links in (False, True):
        name = "certificates_linked" if links else "certificates"
        renewed = await renew_certificates(folder_for(name), models, RENEWALS, rate=40, links=links)
        report.outcome(name, renewed.outcome)
        report.record(f"{name}_renewed", renewed.renewals, "times")
    idled = await review_beside_idle_clients(folder_for("idlers"), models, IDLERS, rate=50, seconds=10.0)
    report.outcome("idlers", idled.with_idle_clients)
    report.record("idlers_p99_ratio", idled.p99_ratio, "ratio", 1.5)
    await ledgers(report, folder_for, models)
    report.race(await race_for_cases(folder_for("casework"), RACED))
    watched = await watch(folder_for("watchers"), WATCHERS, WATCHED_CASES)
    report.record("watchers", watched.watchers, "watchers")
    report.record("watchers_changes", watched.changes, "changes")
    report.record("watchers_reconnected", watched.reconnected, "times")
    for what in ("missed", "doubled", "disorder"):
        report.record(f"watchers_{what}", getattr(watched, what), "changes", 0)
    await hostile_requests(report, folder_for, models)
    return report


async def hostile_requests(report: Report, folder_for: Callable[[str], Path], models: Path) -> None:
    """Run the scenarios with generated and hostile requests."""
    fuzzed = await fuzz(folder_for("fuzz"), models, CASES)
    report.record("fuzz_calls", fuzzed.statuses.total(), "calls")
    report.record("fuzz_bad_statuses", sum(fuzzed.unexpected.values()), "calls", 0)
    report.record("fuzz_growth", (fuzzed.resident_after - fuzzed.resident_before) / MEGABYTE, "MB", 30)
    if not fuzzed.alive:
        report.failed.append("a server died of fuzzing")
    checked = await asyncio.to_thread(check_all, folder_for("schemas"), models, EXAMPLES)
    report.record("schemas_examples", checked.examples, "requests")
    report.record("schemas_failures", len(checked.failures), "failures", 0)
    report.failed += checked.failures


async def slow_scorers_and_watchers(report: Report, folder_for: Callable[[str], Path], models: Path) -> None:
    """Run the scenarios with slow scorers and with watchers, beside reviews."""
    slow = await hold_scorer_calls(
        folder_for("slow"),
        models,
        SLOW_ROUNDS,
        rate=100,
        at_once=MAX_BATCHES - 1,
        seconds=SLOW_SECONDS,
        scorer_timeout=10.0,
    )
    report.record("slow_scorer_held", slow.slow, "orders")
    report.record("slow_scorer_answered_meanwhile", slow.meanwhile, "orders")
    for what in ("refused", "unscored", "early"):
        report.record(f"slow_scorer_{what}", getattr(slow, what), "orders", 0)
    report.record("slow_scorer_counted_failures", slow.counted_failures, "calls", 0)
    watched = await watch_at_the_edge(
        folder_for("edge-watchers"), models, EDGE_WATCHERS, EDGE_WATCHERS, EDGE_REVIEWS, EDGE_SECONDS
    )
    report.record("edge_watchers", watched.watchers, "watchers")
    report.record("edge_watchers_reviews", watched.reviews, "calls")
    report.record("edge_watchers_refused", watched.refused, "calls", 0)
    report.record("edge_watchers_cut_off", watched.cut_off, "streams", 0)
    for what in ("missed", "doubled"):
        report.record(f"edge_watchers_{what}", getattr(watched, what), "changes", 0)


async def ledgers(report: Report, folder_for: Callable[[str], Path], models: Path) -> None:
    """Run the scenarios of the ledger, on both databases."""
    report.ledger(
        "ledger_sqlite", await kill_agents(folder_for("ledger-sqlite"), models, AGENT_KILLS, REVIEWS_A_SECOND)
    )
    report.cut("power_loss_sqlite", await cut_power(folder_for("power-loss"), CUT_DECISIONS, CUT_CALLERS, CUTS))
    report.erased("erasure_sqlite", await erase_under_load(folder_for("erasure-sqlite"), models, ERASED, READERS, 100))
    report.backed("backup_sqlite", await back_up_under_load(folder_for("backup-sqlite"), models, BACKUPS, 100))
    if binaries() is None:
        print("PostgreSQL is not installed (Debian: postgresql): its scenarios are left out", file=sys.stderr)
    else:
        with tempfile.TemporaryDirectory(prefix="vouch-pg-") as home, running(Path(home)) as postgres:
            killed = await kill_agents(
                folder_for("ledger-postgres"),
                models,
                AGENT_KILLS,
                REVIEWS_A_SECOND,
                agents=4,
                url=postgres.new_database(),
            )
            report.ledger("ledger_postgres", killed)
            killed = await kill_agents(
                folder_for("postgres-kills"), models, DATABASE_KILLS, REVIEWS_A_SECOND, agents=2,
                url=postgres.new_database(), postgres=postgres,
            )  # fmt: skip
            report.ledger("postgres_killed", killed)
            url = postgres.new_database()
            erased = await erase_under_load(
                folder_for("erasure-postgres"), models, ERASED, READERS, 100, url=url, agents=2,
                files=partial(postgres.files, url),
            )  # fmt: skip
            report.erased("erasure_postgres", erased)
            backed = await back_up_under_load(
                folder_for("backup-postgres"), models, BACKUPS, 100, url=postgres.new_database(), agents=2,
                new_url=postgres.new_database,
            )  # fmt: skip
            report.backed("backup_postgres", backed)
            await replicas(report, folder_for, models, postgres.new_database)
    outage = await stop_scorer(folder_for("outage"), models, REVIEWS_A_SECOND, OUTAGE_SECONDS)
    report.outcome("outage", outage.away)
    report.record("outage_unseen_approvals", outage.unseen_approvals, "answers", 0)
    report.record("outage_degraded", outage.degraded, "answers")
    report.record("outage_degraded_p99", outage.degraded_p99 * 1000, "ms", 50)
    report.record("outage_back_after", outage.back_after, "s", 2)
    report.record("outage_scored_after", outage.scored_after, "s", 10)
    tampered = await tamper(folder_for("tamperings"), TAMPERINGS, LEDGERS)
    report.record("tamperings", tampered.tamperings, "tamperings")
    report.record("tamperings_missed", tampered.missed, "tamperings", 0)
    report.record("tamperings_misnamed", tampered.misnamed, "tamperings", 0)
    report.record("untouched_ledgers_suspected", tampered.suspected, "ledgers", 0)


async def replicas(report: Report, folder_for: Callable[[str], Path], models: Path, new_url: Callable[[], str]) -> None:
    """Run the scenarios with two replicas of each service behind the edge, on one PostgreSQL."""
    survived = await kill_replicas(folder_for("replicas"), models, new_url(), REPLICA_KILLS, REPLICA_RATE)
    report.outcome("replicas", survived.outcome)
    report.record("replicas_killed", survived.kills, "kills")
    report.record("replicas_missing", survived.missing, "records", 0)
    report.record("replicas_doubled", survived.doubled, "records", 0)
    report.record("replicas_p99", survived.outcome.latency(0.99) * 1000, "ms")
    hung = await hang_a_replica(folder_for("hanging"), models, new_url(), REPLICA_RATE)
    # while a replica hangs, calls beyond the capacity of the other one are refused
    refused = hung.outcome.failures["RESOURCE_EXHAUSTED"]
    report.record("hanging_calls", hung.outcome.sent, "calls")
    report.record("hanging_refused", refused, "calls")
    report.record("hanging_other_failures", hung.outcome.failures.total() - refused + hung.outcome.lost, "calls", 0)
    report.record("hanging_recovered_after", hung.recovered_after, "s", 3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios and return the exit code: 0 if all figures are within their limits, else 1."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Every scenario with its full counts.")
    parser.add_argument("--models-dir", type=Path, help="models to serve (default: train the default model anew)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="vouch-chaos-") as folder:
        (Path(folder) / "trained").mkdir()
        models = options.models_dir.resolve() if options.models_dir else train_default(Path(folder) / "trained")
        report = asyncio.run(run_scenarios(Path(folder), models))
    write("chaos", report.entries)
    for line in report.failed:
        print(f"chaos: {line}", file=sys.stderr)
    return 1 if report.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
