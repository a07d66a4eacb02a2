"""Claims on one clock, and released cases, at two agents on one ledger."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from agent_server.cases.changes import CaseFeed
from agent_server.cases.claims import CaseClaim, Claim, Release, Reviewer
from agent_server.ledger import Ledger, open_engine
from agent_server.services.cases import CaseService
from generated.vouch.v1 import case_service_pb2 as cases
from runtime.access.caller import REVIEWER, Caller
from runtime.errors import NotAvailable
from runtime.rpc.call import Call
from testing.ledger.decisions import new_decision

HOUR = 3600
LEASE, PAUSE = 600_000_000, 1_800_000_000


def call(name: str) -> Call:
    """Return a call of a reviewer."""
    context: Any = None
    return Call(context, Caller(name, REVIEWER))


class _Agent:
    """The CaseService of an agent whose host's clock is off by some seconds."""

    def __init__(self, url: str, patch: pytest.MonkeyPatch, off_seconds: int) -> None:
        self.ledger, self._patch, self._off = Ledger(open_engine(url)), patch, off_seconds
        self.service = CaseService(self.ledger, CaseFeed(self.ledger))

    async def ask(self, method: str, request: Any, name: str) -> Any:
        """Call a method with this agent's clock as Python's clock."""
        right: Callable[[], int] = time.time_ns
        with self._patch.context() as patch:
            patch.setattr(time, "time_ns", lambda: right() + self._off * 1_000_000_000)
            patch.setattr(time, "time", lambda: right() / 1e9 + self._off)
            return await getattr(self.service, method)(request, call(name))


async def test_claims_end_by_one_clock(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Agents with clocks an hour off take no claim early, keep none late, and renew and resolve their own."""
    right = _Agent(ledger_url, monkeypatch, 0)
    ahead, behind = _Agent(ledger_url, monkeypatch, HOUR), _Agent(ledger_url, monkeypatch, -HOUR)
    agents, ends = {"right": right, "ahead": ahead, "behind": behind}, []
    for number, (name, agent) in enumerate(agents.items()):
        await right.ledger.write(new_decision(number))
        claimed = await agent.ask("ClaimNext", cases.ClaimNextRequest(), name)
        assert claimed.HasField("case"), name
        for other in agents.values():
            assert not (await other.ask("ClaimNext", cases.ClaimNextRequest(), "thief")).HasField("case"), name
        for other in agents.values():  # the reviewer's browser may use any of them
            request = cases.RenewClaimRequest(case_id=claimed.case.case_id, token=claimed.token)
            ends.append((await other.ask("RenewClaim", request, name)).case.claimed_until.seconds)
    assert max(ends) - min(ends) < HOUR / 4
    for agent in agents.values():
        agent.ledger.close()


async def test_a_released_case_is_not_the_next_case(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A released case is not offered to its reviewer by any agent, even after a restart, but can be claimed by id."""
    first, second = _Agent(ledger_url, monkeypatch, 0), _Agent(ledger_url, monkeypatch, 0)
    for number, amount in ((1, 900.0), (2, 100.0)):
        await first.ledger.write(new_decision(number, order_amount=amount))
    urgent = await first.ask("ClaimNext", cases.ClaimNextRequest(), "ada")
    release = cases.ReleaseCaseRequest(case_id=urgent.case.case_id, token=urgent.token)
    await first.ask("ReleaseCase", release, "ada")
    other = await second.ask("ClaimNext", cases.ClaimNextRequest(), "ada")
    assert other.case.transaction_id == "t2"
    await second.ask("ReleaseCase", cases.ReleaseCaseRequest(case_id=other.case.case_id, token=other.token), "ada")
    second.ledger.close()
    restarted = _Agent(ledger_url, monkeypatch, 0)
    for agent in (first, restarted):
        assert not (await agent.ask("ClaimNext", cases.ClaimNextRequest(), "ada")).HasField("case")
    named = await restarted.ask("ClaimCase", cases.ClaimCaseRequest(case_id=other.case.case_id), "ada")
    assert named.case.reviewer == "ada"
    assert (await restarted.ask("ClaimNext", cases.ClaimNextRequest(), "bob")).case.transaction_id == "t1"
    first.ledger.close()
    restarted.ledger.close()


async def test_a_released_case_is_offered_again_after_a_pause(ledger_url: str) -> None:
    """A released case is offered again after the pause, and at once if it is the only one; an expired claim has no
    pause.
    """
    ledger = Ledger(open_engine(ledger_url))
    case_id = (await ledger.write(new_decision(1))).answer.case_id
    claimed = await ledger.write(Claim(Reviewer("ada", 0), LEASE, pause=PAUSE))
    assert claimed == CaseClaim(case_id, 1)
    again = await ledger.write(Claim(Reviewer("ada", LEASE + 1), LEASE, pause=PAUSE))
    assert again == CaseClaim(case_id, 2)
    given_back = LEASE + 2
    await ledger.write(Release(Reviewer("ada", given_back), again))
    assert await ledger.write(Claim(Reviewer("ada", given_back + PAUSE - 1), LEASE, pause=PAUSE)) is None
    later = await ledger.write(Claim(Reviewer("ada", given_back + PAUSE), LEASE, pause=PAUSE))
    assert later == CaseClaim(case_id, 3)
    await ledger.write(Release(Reviewer("ada", given_back + PAUSE + 1), later))
    assert await ledger.write(Claim(Reviewer("ada", given_back + PAUSE + 2), LEASE)) == CaseClaim(case_id, 4)
    with pytest.raises(NotAvailable):
        await ledger.write(Release(Reviewer("ada", given_back + PAUSE + 2), later))
    ledger.close()
