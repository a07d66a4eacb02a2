"""Reviewers race for cases on two agents, claims expire and an agent is killed: each case is resolved once."""

import asyncio
import random
import signal
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from agent_server.cases.queries import CaseFilter, case_page, whole_case
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.queries import DecisionFilter, record_page
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.case_service_pb2_grpc import CaseServiceStub
from runtime.access.keys import digest, new_key
from testing.ledger.decisions import new_decision
from testing.servers.replicas import agent, running
from testing.waiting import free_port, wait_for

REVIEWERS, CLAIM_SECONDS, SLEEPY = 8, 1.0, 0.02
"""Share of cases whose reviewer decides only after the claim has expired."""
_PAGE, _SECONDS = 500, 10.0
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass
class RaceResult:
    """Results of the race. All counts but the first three must be 0."""

    resolved: int = 0
    late_refused: int = 0
    cut_off: int = 0
    unresolved: int = 0
    resolved_twice: int = 0
    forged_accepted: int = 0
    late_accepted: int = 0
    other_verdict: int = 0
    disorder: int = 0
    acknowledged: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Reviewer and verdict of each acknowledged resolution, by case."""


async def race_for_cases(folder: Path, number: int) -> RaceResult:
    """Let reviewers race for `number` cases, and kill one of two agents with -9 once half are resolved."""
    url = f"sqlite:///{folder / 'cases.db'}"
    ledger = Ledger(open_engine(url))
    for start in range(0, number, _PAGE):
        await asyncio.gather(*(ledger.write(new_decision(at)) for at in range(start, min(start + _PAGE, number))))
    ledger.close()
    keys = {f"reviewer-{at}": new_key() for at in range(REVIEWERS)}
    (folder / "keys").write_text("\n".join(f"{name}:{digest(key)}:reviewer" for name, key in keys.items()) + "\n")
    agents = [agent(folder, f"127.0.0.1:{free_port()}", ledger_url=url) for _ in range(2)]
    for each in agents:
        own = {"VOUCH_AGENT_API_KEYS": str(folder / "keys"), "VOUCH_AGENT_CLAIM_SECONDS": f"{CLAIM_SECONDS:g}"}
        own["VOUCH_AGENT_SECOND_REVIEWS"] = "0"  # a blind review would be another case
        each.settings = {**each.settings, **own}
    result, work = RaceResult(), list[asyncio.Task[None]]()

    async def kill_halfway() -> None:
        while result.resolved < number // 2 and not all(task.done() for task in work):
            await asyncio.sleep(0.05)
        agents[0].signal(signal.SIGKILL)
        assert agents[0].process is not None
        await asyncio.to_thread(agents[0].process.wait)
        agents[0].start()

    with running(*agents):
        for each in agents:
            await asyncio.to_thread(wait_for, each.listening, what="an agent listening")
        addresses = [each.address for each in agents]
        work += [asyncio.create_task(_Reviewer(name, key, addresses, result).work()) for name, key in keys.items()]
        await asyncio.gather(kill_halfway(), *work)
    _compare(url, number, result)
    return result


class _Reviewer:
    """A reviewer who resolves cases through either agent until none is left."""

    def __init__(self, name: str, key: str, addresses: list[str], result: RaceResult) -> None:
        self._name, self._metadata, self._addresses, self._result = name, (("x-api-key", key),), addresses, result
        self._chance = random.Random(name)

    async def work(self) -> None:
        channels = [grpc.aio.insecure_channel(address) for address in self._addresses]
        stubs = [CaseServiceStub(channel) for channel in channels]
        left = True
        while left:
            try:
                worked = await self._one(self._chance.choice(stubs), self._chance.choice(stubs))
                left = worked or await self._is_left(self._chance.choice(stubs))
            except grpc.aio.AioRpcError as error:
                if error.code() not in _GONE:
                    raise
                self._result.cut_off += 1
                worked = False
            if left and not worked:
                await asyncio.sleep(0.1)
        for channel in channels:
            await channel.close()

    async def _is_left(self, stub: CaseServiceStub) -> bool:
        """Return whether a case is unresolved: another reviewer's claim on it may still expire."""
        for status in (cases.CASE_STATUS_OPEN, cases.CASE_STATUS_CLAIMED):
            request = cases.ListCasesRequest(status=status, page_size=1)
            if (await stub.ListCases(request, timeout=_SECONDS, metadata=self._metadata)).cases:
                return True
        return False

    async def _one(self, claiming: CaseServiceStub, resolving: CaseServiceStub) -> bool:
        claimed = await claiming.ClaimNext(cases.ClaimNextRequest(), timeout=_SECONDS, metadata=self._metadata)
        if not claimed.HasField("case"):
            return False
        case_id, token = claimed.case.case_id, claimed.token
        if await self._resolve(resolving, case_id, token + 1):
            self._result.forged_accepted += 1
        sleepy = self._chance.random() < SLEEPY
        if sleepy:
            await asyncio.sleep(1.5 * CLAIM_SECONDS)
        if await self._resolve(resolving, case_id, token):
            self._result.late_accepted += sleepy
        else:
            self._result.late_refused += sleepy
        return True

    async def _resolve(self, stub: CaseServiceStub, case_id: str, token: int) -> bool:
        verdict = self._chance.choice((pb.DECISION_APPROVE, pb.DECISION_DENY))
        request = cases.ResolveCaseRequest(case_id=case_id, token=token, verdict=verdict)
        try:
            await stub.ResolveCase(request, timeout=_SECONDS, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() in _GONE:
                raise
            return False
        self._result.resolved += 1
        self._result.resolved_twice += case_id in self._result.acknowledged
        self._result.acknowledged[case_id] = (self._name, verdict)
        return True


def _compare(url: str, number: int, result: RaceResult) -> None:
    """Compare the ledger with the resolutions that were acknowledged."""
    engine = open_engine(url)
    with engine.connect() as connection:
        verdicts: dict[str, int] = {}
        after: int | None = 0
        while after is not None:
            page, after = record_page(DecisionFilter(), after, _PAGE)(connection)
            for record in page:
                if record.decision_maker == pb.DECISION_MAKER_HUMAN:
                    case_id = record.answer.case_id
                    verdicts[case_id] = verdicts.get(case_id, 0) + 1
        result.resolved_twice += sum(count > 1 for count in verdicts.values())
        result.unresolved = number - len(verdicts)
        listed, _ = case_page(CaseFilter(), None, number + 1)(connection)
        for case in listed:
            whole = whole_case(case.case_id)(connection)
            assert whole is not None
            if case.case_id in result.acknowledged:
                recorded = (whole.case.reviewer, whole.case.verdict)
                result.other_verdict += recorded != result.acknowledged[case.case_id]
            numbers = [event.number for event in whole.events]
            moments = [event.at.ToMicroseconds() for event in whole.events]
            kinds = [event.kind for event in whole.events]
            in_order = numbers == list(range(1, len(numbers) + 1)) and moments == sorted(moments)
            once = kinds.count(cases.CASE_EVENT_KIND_RESOLVED) == 1 and kinds[-1] == cases.CASE_EVENT_KIND_RESOLVED
            result.disorder += not (in_order and once)
    engine.dispose()
