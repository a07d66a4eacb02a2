"""An agent that runs: its services, its server, its ledger, and what goes on behind them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from agent_server.audit.signing import Signing
from agent_server.backup.starting import check_ledger
from agent_server.cases.changes import CaseFeed
from agent_server.cases.queries import count_opened_since
from agent_server.cases.rescoring import Rescoring
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
from agent_server.settings import AgentSettings, policy_of
from agent_server.write_probe import WriteProbe
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
_DAY = 86_400 * 1_000_000
HEALTH_SECONDS = 5.0
"""How often a review that is undone proves that decisions can be kept."""


@contextlib.asynccontextmanager
async def running(
    settings: AgentSettings, *, worker: bool = False, handle_signals: bool = True, scoring: ScoringClient | None = None
) -> AsyncIterator[Server]:
    """Serves while the context lasts, without the scorer too: what is decided meanwhile is scored when it is there.

    `scoring` is the way to the scorer, by default what the settings name. Raises LedgerError or PolicyError.
    See `Server` for the options.
    """
    # In threads: who else shares this loop, as in `vouch serve`, is answered meanwhile.
    signer = await asyncio.to_thread(Signing, settings.ledger_key) if settings.ledger_key else None
    await asyncio.to_thread(check_ledger, settings.ledger_url, signer or Unsigned())
    engine = open_engine(settings.ledger_url, signer)
    current = await asyncio.to_thread(current_policy, settings.policy, policy_of(settings))
    golden_orders = await asyncio.to_thread(read_golden, settings.golden_orders) if settings.golden_orders else []
    ledger = Ledger(engine, signer, WriteProbe(remembers=settings.memory))
    scoring = scoring or scoring_client(settings)
    feed, jobs = CaseFeed(ledger), Jobs()
    golden = GoldenCases(ledger, scoring, current, golden_orders, settings.golden_cases)
    budget = ReviewBudget()
    erasures = ErasureWork(ledger, engine)
    decider = Decider(scoring, current, ledger, budget, golden.maybe_inject, remembers=settings.memory)
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
            jobs.add("golden-cases", golden.run)
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
    """Keep health checks true: the agent's own services serve while decisions can be kept; the scorer's while it is reached."""
    kept, reached = await asyncio.gather(ledger.available(HEALTH_SECONDS), scoring.available())
    await server.set_serving(kept)
    await server.health.set(SCORER, SERVING if reached else NOT_SERVING)


async def count_reviews(budget: ReviewBudget, ledger: Ledger, current: CurrentPolicy) -> None:
    """Count the reviews of the last 24 hours, where the policy has a budget. Without the ledger, the old count goes on."""
    if current.policy.reviews_a_day:
        with contextlib.suppress(Unavailable):
            budget.spent = await ledger.read_in_background(count_opened_since(time.time_ns() // 1000 - _DAY))


def scoring_client(settings: AgentSettings) -> ScoringClient:
    """The way to the scorer, with TLS and an API key where settings name them."""
    return ScoringClient.reaching(
        settings.scorer, settings.scorer_timeout_seconds, settings.scorer_key, settings.scorer_tls,
        max_batches=settings.scorer_batches,
    )  # fmt: skip
