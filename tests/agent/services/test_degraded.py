"""An unavailable scorer: nothing is approved without a score, no call waits, and cases are rescored later."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.cases.rescoring import Rescoring, unscored_cases
from agent_server.cases.tables import CASES
from agent_server.decider import Decider
from agent_server.decisions.policy import Policy, Unscored
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import DecisionFilter, record_page
from agent_server.ledger.schema import PAYLOADS
from agent_server.policies.current import CurrentPolicy
from agent_server.scoring.breaker import CircuitBreaker
from agent_server.scoring.client import ScoringClient
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.scoring_service_pb2 import DESCRIPTOR
from ml_server.registry.bundle import Bundle
from ml_server.serving.running import ROLES as SCORER_ROLES
from ml_server.serving.service import ScoringService
from ml_server.settings import MlSettings
from runtime.errors import Unavailable
from runtime.rpc.server import Server
from testing.calls import new_call
from testing.inputs.orders import message
from testing.ledger.decisions import new_decision
from testing.ledger.templates import new_ledger
from testing.waiting import free_port

SCORING = DESCRIPTOR.services_by_name["ScoringService"]


def decider(folder: Path, scoring: ScoringClient, unscored: Unscored = "review") -> tuple[Decider, Ledger]:
    """Return a decider and its ledger."""
    ledger = Ledger(open_engine(new_ledger(folder / "ledger.db")))
    return Decider(scoring, CurrentPolicy(Policy(0.7, 0.4, unscored=unscored)), ledger), ledger


async def test_nothing_is_approved_without_a_score(tmp_path: Path) -> None:
    """Without a scorer an order becomes a case by default, is denied, or is an error, as the setting says."""
    scoring = ScoringClient.connect(f"127.0.0.1:{free_port()}", 2.0)
    for unscored, decision in (("review", pb.DECISION_REVIEW), ("deny", pb.DECISION_DENY)):
        (tmp_path / unscored).mkdir()
        deciding, ledger = decider(tmp_path / unscored, scoring, unscored)  # type: ignore[arg-type]
        answer = (await deciding.decide(message(), new_call())).answer
        assert (answer.decision, answer.degraded, answer.HasField("legitimacy_score")) == (decision, True, False)
        assert bool(answer.case_id) == (decision == pb.DECISION_REVIEW)
        ledger.close()
    deciding, ledger = decider(tmp_path, scoring, "error")
    with pytest.raises(Unavailable):
        await deciding.decide(message(), new_call())
    ledger.close()
    await scoring.close()


@contextlib.asynccontextmanager
async def _serving(service: ScoringService, port: int, scoring: ScoringClient) -> AsyncIterator[None]:
    """Serve a scorer on a port while the block runs, which starts once the client has found it."""
    settings = MlSettings.read(listen=f"127.0.0.1:{port}", metrics_listen="", lame_duck_seconds=0)
    async with Server(settings, {SCORING: service}, roles=SCORER_ROLES) as server:
        await server.set_serving(True)
        async with asyncio.timeout(30):
            while not await scoring.available():  # noqa: ASYNC110  no event tells it
                await asyncio.sleep(0.02)
        yield


async def test_degraded_cases_are_scored_when_the_scorer_is_back(model: Bundle, tmp_path: Path) -> None:
    """Rescored cases show the score; a decision by the policy closes the case by a revision, unless a person has it."""
    port = free_port()
    scoring = ScoringClient.connect(f"127.0.0.1:{port}", 2.0, breaker=CircuitBreaker(max_failures=2, retry_seconds=0.0))
    deciding, ledger = decider(tmp_path, scoring)
    orders = [message(transaction_id=f"t{number}") for number in range(4)]
    recorded = [await deciding.decide(order, new_call()) for order in orders]
    assert all(one.answer.degraded for one in recorded)
    assert not scoring.breaker.closed
    taken = recorded[3].answer.case_id
    await ledger.write(
        lambda group: (
            group.execute(CASES.update().where(CASES.c.case_id == taken).values(status=2, claimed_until=1 << 62))
            and None
        )
    )
    assert len(await ledger.read(unscored_cases(10))) == 4
    service = ScoringService()
    service.serve(model)
    async with _serving(service, port, scoring):
        rescoring = Rescoring(ledger, scoring, CurrentPolicy(deciding.policy))
        assert await rescoring.run_once() == 4
        assert await rescoring.run_once() == 0
        score = service._ready().score(orders[0])
        fresh = await deciding.decide(message(transaction_id="fresh"), new_call())
        assert (fresh.answer.degraded, scoring.breaker.closed) == (False, True)
        again = await deciding.decide(orders[0], new_call())
    assert score < 0.4  # the documented order is denied
    records, _ = await ledger.read(record_page(DecisionFilter(transaction_id="t0"), 0, 10))
    assert [(record.revision, record.decision, record.degraded) for record in records] == [
        (1, pb.DECISION_REVIEW, True), (2, pb.DECISION_DENY, False),
    ]  # fmt: skip
    assert (again.replayed, again.answer.decision, again.answer.revision) == (True, pb.DECISION_DENY, 2)
    opened, _ = await ledger.read(case_page(CaseFilter(), None, 10))
    assert all(case.legitimacy_score == pytest.approx(score) for case in opened)
    status = {case.case_id: case.status for case in opened}
    assert status.pop(taken) == cases.CASE_STATUS_CLAIMED
    assert set(status.values()) == {cases.CASE_STATUS_RESOLVED}
    whole = await ledger.read(whole_case(taken))
    assert whole is not None
    assert whole.review.decision == pb.DECISION_REVIEW
    assert whole.review.legitimacy_score == pytest.approx(score)
    ledger.close()
    await scoring.close()


async def test_refusals_of_the_scorer_hold_nobody_up(
    model: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders that a strict scorer refuses stay without a score and do not block the scores of later ones."""
    monkeypatch.setattr("agent_server.cases.rescoring.AT_ONCE", 2)
    port = free_port()
    scoring = ScoringClient.connect(f"127.0.0.1:{port}", 2.0, breaker=CircuitBreaker(max_failures=1, retry_seconds=0.0))
    deciding, ledger = decider(tmp_path, scoring)
    for number in range(4):
        order = message(transaction_id=f"t{number}")
        if number < 2:
            order.extra_numbers["nobody_reads_this"] = 1.0
        assert (await deciding.decide(order, new_call())).answer.degraded
    service = ScoringService(strict_extras=True)
    service.serve(model)
    async with _serving(service, port, scoring):
        rescoring = Rescoring(ledger, scoring, CurrentPolicy(deciding.policy))
        assert [await rescoring.run_once() for _ in range(3)] == [0, 2, 0]
        assert len(await ledger.read(unscored_cases(10))) == 2
        refused = message(transaction_id="late")
        refused.extra_numbers["nobody_reads_this"] = 1.0
        together = [deciding.decide(refused, new_call()) for _ in range(5)]  # the first alone, the others in a batch
        answers = await asyncio.gather(*together, return_exceptions=True)
    assert {str(answer) for answer in answers} == {
        f"invalid request: transaction.extra_numbers[nobody_reads_this]: model {model.version} does not read this extra; "
        "remove it"
    }
    ledger.close()
    await scoring.close()


async def test_a_damaged_order_does_not_block_others(model: Bundle, tmp_path: Path) -> None:
    """A payload that cannot be read is skipped, and the cases after it are scored."""
    ledger = Ledger(open_engine(new_ledger(tmp_path / "ledger.db")))
    for number in range(2):
        await ledger.write(new_decision(number, score=None))
    damaged = PAYLOADS.update().where(PAYLOADS.c.transaction_id == "t0").values(payload=b"\xff\xff")
    await ledger.write(lambda group: group.execute(damaged) and None)
    service = ScoringService()
    service.serve(model)
    settings = MlSettings.read(listen=f"127.0.0.1:{free_port()}", metrics_listen="", lame_duck_seconds=0)
    async with Server(settings, {SCORING: service}, roles=SCORER_ROLES) as server:
        await server.set_serving(True)
        scoring = ScoringClient.connect(settings.listen, 20.0)
        rescoring = Rescoring(ledger, scoring, CurrentPolicy(Policy(0.7, 0.4)))
        assert [await rescoring.run_once() for _ in range(2)] == [1, 0]
        await scoring.close()
    ledger.close()


def test_the_breaker_lets_one_try() -> None:
    """The breaker opens after failures in a row, then passes one call per pause, and closes after the first success."""
    moment = 0.0
    breaker = CircuitBreaker(max_failures=3, retry_seconds=1.0, clock=lambda: moment)
    for _ in range(2):
        breaker.record_failure()
    breaker.record_success()
    for _ in range(3):
        assert breaker.allow_call()
        breaker.record_failure()
    assert not breaker.allow_call()
    moment = 1.0
    assert [breaker.allow_call() for _ in range(3)] == [True, False, False]
    breaker.record_failure()
    assert not breaker.allow_call()
    moment = 2.0
    assert breaker.allow_call()
    breaker.record_success()
    assert [breaker.allow_call() for _ in range(3)] == [True] * 3
