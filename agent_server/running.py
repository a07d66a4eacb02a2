"""Composition root of the agent: builds the ledger, the services, the server and the background jobs."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from agent_server.audit.signing import Signing
from agent_server.backup.starting import check_ledger
from agent_server.cases.changes import CaseFeed
from agent_server.cases.queries import count_opened_since
from agent_server.cases.rescoring import Rescoring
from agent_server.data_files import Enrichment, WatchedDataFiles
from agent_server.decider import Decider
from agent_server.decisions.review_budget import ReviewBudget
from agent_server.feedback.golden_cases import GoldenCases, read_golden
from agent_server.history_store.compaction import CompactionJob
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.chain import Unsigned
from agent_server.policies.current import CurrentPolicy, current_policy
from agent_server.privacy.background import EVERY_SECONDS, ErasureWork
from agent_server.scoring.client import ScoringClient
from agent_server.services.agent import AgentService
from agent_server.services.cases import CaseService
from agent_server.services.outcomes import OutcomeService
from agent_server.services.privacy import PrivacyService
from agent_server.services.roles import ROLES
from agent_server.settings import AgentSettings, data_files, policy_of
from agent_server.write_probe import WriteProbe
from enrichment.rate_files import read_money
from enrichment.rate_job import REFRESH_SECONDS, refresh_rates
from generated.vouch.v1 import (
    agent_service_pb2,
    case_service_pb2,
    outcome_service_pb2,
    privacy_service_pb2,
    scoring_service_pb2,
)
from runtime.errors import Unavailable
from runtime.jobs import Jobs
from runtime.rpc.health import NOT_SERVING, SERVING
from runtime.rpc.server import Server

AGENT = agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"]
CASES = case_service_pb2.DESCRIPTOR.services_by_name["CaseService"]
OUTCOMES = outcome_service_pb2.DESCRIPTOR.services_by_name["OutcomeService"]
PRIVACY = privacy_service_pb2.DESCRIPTOR.services_by_name["PrivacyService"]
SCORER = scoring_service_pb2.DESCRIPTOR.services_by_name["ScoringService"].full_name
_DAY_MICROSECONDS = 86_400 * 1_000_000
WRITE_PROBE_SECONDS = 5.0
"""Interval of the write probe, in seconds: how long a successful one counts."""


@contextlib.asynccontextmanager
async def running(
    settings: AgentSettings, *, worker: bool = False, handle_signals: bool = True, scoring: ScoringClient | None = None
) -> AsyncIterator[Server]:
    """Serve while the context is open, even without the scorer: cases without a score are scored later.

    `scoring` is the client of the scorer; by default it is built from the settings. Raises LedgerError, PolicyError or
    DataFileError.
    See `Server` for the other options.
    """
    # Blocking work runs in threads, because `vouch serve` shares this event loop with other services.
    signer = await asyncio.to_thread(Signing, settings.ledger_key) if settings.ledger_key else None
    await asyncio.to_thread(check_ledger, settings.ledger_url, signer or Unsigned())
    engine = open_engine(settings.ledger_url, signer)
    current = await asyncio.to_thread(current_policy, settings.policy, policy_of(settings))
    money = await asyncio.to_thread(read_money, settings.base_currency, settings.exchange_rates)
    golden_orders = (
        await asyncio.to_thread(read_golden, settings.golden_orders, money) if settings.golden_orders else []
    )
    enrichment = (
        await asyncio.to_thread(WatchedDataFiles, data_files(settings)) if settings.enrichment else Enrichment()
    )
    ledger = Ledger(engine, signer, WriteProbe(use_history=settings.memory))
    scoring = scoring or scoring_client(settings)
    feed, jobs = CaseFeed(ledger), Jobs()
    golden = GoldenCases(
        ledger, scoring, current, golden_orders, settings.golden_cases, enrichment=enrichment, money=money
    )
    budget = ReviewBudget()
    erasures = ErasureWork(ledger, engine)
    decider = Decider(
        scoring, current, ledger, budget, golden.maybe_inject, use_history=settings.memory, enrichment=enrichment,
        money=money,
    )  # fmt: skip
    services = {
        AGENT: AgentService(decider, ledger, scoring, jobs),
        CASES: CaseService(
            ledger, feed, settings.claim_seconds, settings.second_reviews, settings.release_pause_seconds
        ),
        OUTCOMES: OutcomeService(ledger),
        PRIVACY: PrivacyService(ledger, erasures),
    }
    try:
        async with Server(
            settings, services, worker=worker, roles=ROLES, handle_signals=handle_signals, jobs=jobs
        ) as server:
            jobs.add("health", lambda: check_health(server, ledger, scoring), every=1.0)
            rescoring = Rescoring(ledger, scoring, current)
            jobs.add("rescoring", rescoring.score_next, every=1.0)
            jobs.add("policy", current.refresh, every=1.0)
            jobs.add("data-files", enrichment.refresh, every=1.0)
            jobs.add("golden-cases", golden.run)
            jobs.add("exchange-rates", lambda: refresh_rates(money), every=REFRESH_SECONDS)
            jobs.add("review-budget", lambda: count_reviews(budget, ledger, current), every=5.0)
            jobs.add("case-changes", feed.read_changes)
            jobs.add("case-changes-retention", feed.drop_old_changes, every=600.0)
            jobs.add("erasure", erasures.run_once, every=EVERY_SECONDS)
            if settings.memory:
                jobs.add("folding", CompactionJob(ledger, settings.memory_days).run, every=3600.0)
            try:
                yield server
            finally:
                feed.close()
    finally:
        await scoring.close()
        await asyncio.to_thread(erasures.close)
        ledger.close()


async def check_health(server: Server, ledger: Ledger, scoring: ScoringClient) -> None:
    """Update the health service: the agent serves if it can record decisions, the scorer if it can be reached."""
    recordable, reachable = await asyncio.gather(ledger.available(WRITE_PROBE_SECONDS), scoring.available())
    await server.set_serving(recordable)
    await server.health.set(SCORER, SERVING if reachable else NOT_SERVING)


async def count_reviews(budget: ReviewBudget, ledger: Ledger, current: CurrentPolicy) -> None:
    """Count the reviews of the last 24 hours if the policy has a budget. Keep the count if it cannot be read."""
    if current.policy.reviews_a_day:
        with contextlib.suppress(Unavailable):
            budget.spent = await ledger.read_in_background(
                count_opened_since(time.time_ns() // 1000 - _DAY_MICROSECONDS)
            )


def scoring_client(settings: AgentSettings) -> ScoringClient:
    """Return a client of the scorer, with TLS and an API key if the settings name them."""
    return ScoringClient.connect(
        settings.scorer, settings.scorer_timeout_seconds, settings.scorer_key, settings.scorer_tls,
        max_batches=settings.scorer_batches,
    )  # fmt: skip
