"""No answer with a list exceeds the size limit of a page, for any ledger, and the pages contain everything once."""

import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
import sqlalchemy as sa
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from vouch_client.policy import options as client_options

from agent_server import running as deciding
from agent_server.cases.changes import CaseFeed
from agent_server.cases.tables import CASE_EVENTS, CASES
from agent_server.database.engine import writing
from agent_server.database.pages import PAGE_BYTES
from agent_server.ledger import Ledger, open_engine
from agent_server.ledger.schema import OUTCOMES
from agent_server.services.agent import AgentService
from agent_server.services.cases import CaseService
from agent_server.services.outcomes import OutcomeService
from agent_server.settings import AgentSettings
from generated.vouch.v1 import agent_service_pb2 as pb
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1 import outcome_service_pb2 as outcomes
from ml_server.serving import running as scoring
from ml_server.settings import MlSettings
from runtime.client.channels import MAX_RESPONSE_BYTES
from runtime.client.channels import options as channel_options
from runtime.rpc.call import Call
from runtime.rpc.local import LocalContext
from runtime.rpc.server import options as server_options
from testing.ledger.decisions import append_decisions, new_decision
from tests.agent.history_store.test_history import BEGUN, history_ledger, order, review

LARGE_ORDERS, LARGE_NOTES, CASES_KEPT, EVENTS, OUTCOMES_KEPT = 14, 80, 2500, 100, 12_000
FRAME: Final = 4096
"""Bytes of an answer besides its lists."""
LARGE_TEXT = "\U0001f600" * 4096
LARGE_EXTRAS: Final = {f"V{n}": "\U0001f600" * 256 for n in range(256)}
PAGED: Final = {"ListDecisions", "ListCases", "ListOutcomes"}
CUT: Final = {"GetLinks", "GetCase", "ListReviewers"}
"""Lists without pages: they say when they are truncated."""
BOUNDED: Final = {
    "Review": "one order", "GetDecision": "one order", "ClaimCase": "one case", "ClaimNext": "one case",
    "GetAgentInfo": "the rules of one policy", "Predict": "one order", "PredictBatch": "the orders of the request",
    "GetModelInfo": "one model", "GetModelReport": "one model", "ExportPerson": "a stream of orders",
    "ExportLabels": "a stream of orders", "WatchCases": "a stream of cases",
}  # fmt: skip
"""RPCs with lists that do not grow with the ledger."""


def has_list(method: MethodDescriptor) -> bool:
    """Return whether an answer has a list, at any depth."""
    return _repeats(method.output_type, set())


def _repeats(descriptor: Any, seen: set[str]) -> bool:
    if descriptor.full_name in seen:
        return False
    seen.add(descriptor.full_name)
    return any(
        field.is_repeated or (field.type == FieldDescriptor.TYPE_MESSAGE and _repeats(field.message_type, seen))
        for field in descriptor.fields
    )


def test_every_list_has_a_row() -> None:
    """A new RPC with a list in its answer belongs in one of the tables."""
    services = (scoring.SERVICE, deciding.AGENT, deciding.CASES, deciding.OUTCOMES, deciding.PRIVACY)
    listing = {method.name for service in services for method in service.methods if has_list(method)}
    assert listing <= PAGED | CUT | set(BOUNDED), listing - PAGED - CUT - set(BOUNDED)
    assert listing >= PAGED | CUT


class Services:
    """The servicers of a full ledger."""

    def __init__(self, ledger: Ledger) -> None:
        unused: Any = None  # nothing is decided or scored here
        self.agent = AgentService(unused, ledger, unused, unused)
        self.cases = CaseService(ledger, CaseFeed(ledger))
        self.outcomes = OutcomeService(ledger)


def call() -> Call:
    """Return a call with all rights."""
    context: Any = LocalContext(60.0, ())
    return Call(context)


@pytest.fixture
async def services(ledger_url: str) -> AsyncIterator[Services]:
    """Return services of a ledger with large orders of one account, many cases, comments and outcomes."""

    def made(number: int) -> Any:
        extras: dict[str, Any] = {"extra_texts": LARGE_EXTRAS} if number < LARGE_ORDERS else {}
        return new_decision(number, user_id="one" if number < LARGE_ORDERS else f"u{number}", **extras)

    append_decisions(ledger_url, CASES_KEPT, made)
    engine = open_engine(ledger_url)
    at = time.time_ns() // 1000
    with writing(engine) as connection, connection.begin():
        name = sa.func.substr(CASES.c.case_id, 1, 32).concat("\U0001f600" * 96)
        note = sa.case((CASES.c.sequence <= LARGE_NOTES, LARGE_TEXT), else_="")
        resolved = {"status": int(cases.CASE_STATUS_RESOLVED), "resolved_at": at, "claimed_at": at, "note": note}
        connection.execute(CASES.update().values(reviewer=name, verdict=int(pb.DECISION_DENY), **resolved))
        case = connection.execute(sa.select(CASES.c.case_id, CASES.c.sequence).where(CASES.c.sequence == 1)).one()
        event = {"case_id": case.case_id, "at": at, "kind": 5, "actor": "a", "text": LARGE_TEXT}
        connection.execute(CASE_EVENTS.insert(), [event | {"number": n} for n in range(2, EVENTS + 2)])
        outcome = {"sequence": case.sequence, "kind": 1, "occurred_at": at, "source": "s" * 64}
        outcome |= {"abuse_type": "", "reported_by": "shop"}
        rows = [outcome | {"outcome_id": f"{n:064x}", "reported_at": at + n // 3} for n in range(OUTCOMES_KEPT)]
        connection.execute(OUTCOMES.insert(), rows)
    ledger = Ledger(engine)
    yield Services(ledger)
    ledger.close()


async def paged(method: Any, request: Any, entries: Callable[[Any], list[Any]]) -> tuple[list[Any], int]:
    """Return all entries of a list and the number of its pages; check the size of each."""
    found, pages = list[Any](), 0
    while True:
        answer = await method(request, call())
        assert answer.ByteSize() <= PAGE_BYTES + FRAME
        found, pages = found + entries(answer), pages + 1
        if not answer.next_page_token:
            return found, pages
        assert entries(answer)
        request.page_token = answer.next_page_token


async def test_no_page_is_too_large(services: Services) -> None:
    """Pages of 1,000 end early if their entries are large, and skip and repeat nothing; a truncated answer says so."""
    for newest_first in (False, True):
        wanted = pb.ListDecisionsRequest(page_size=1000, newest_first=newest_first)
        found, pages = await paged(
            services.agent.ListDecisions, wanted, lambda one: [each.sequence for each in one.records]
        )
        assert sorted(found) == list(range(1, CASES_KEPT + 1)) and found == sorted(found, reverse=newest_first)
        assert pages > 2
    for sorting in (cases.CASE_ORDER_NEWEST, cases.CASE_ORDER_PRIORITY):
        request = cases.ListCasesRequest(page_size=1000, order=sorting)
        found, pages = await paged(services.cases.ListCases, request, lambda one: [each.case_id for each in one.cases])
        assert len(found) == len(set(found)) == CASES_KEPT and pages > 1
    every = outcomes.ListOutcomesRequest(transaction_id="t0")
    found, pages = await paged(
        services.outcomes.ListOutcomes, every, lambda one: [each.reported_at.ToMicroseconds() for each in one.outcomes]
    )
    assert len(found) == OUTCOMES_KEPT and found == sorted(found) and pages > 1
    few = outcomes.ListOutcomesRequest(transaction_id="t0", page_size=4000)
    assert (await paged(services.outcomes.ListOutcomes, few, lambda one: list(one.outcomes)))[1] == 3

    listed = await services.cases.ListReviewers(cases.ListReviewersRequest(), call())
    assert listed.truncated and listed.reviewers and listed.ByteSize() <= PAGE_BYTES + FRAME
    request = cases.ListCasesRequest(page_size=1000, order=cases.CASE_ORDER_NEWEST)
    found, _ = await paged(services.cases.ListCases, request, lambda one: list(one.cases))
    whole = await services.cases.GetCase(cases.GetCaseRequest(case_id=found[-1].case_id), call())
    assert whole.transaction.transaction_id == "t0" and whole.ByteSize() <= PAGE_BYTES + FRAME
    assert whole.events_truncated
    assert [event.number for event in whole.events] == list(range(EVENTS + 2 - len(whole.events), EVENTS + 2))
    other = await services.cases.GetCase(cases.GetCaseRequest(case_id=found[0].case_id), call())
    assert not other.events_truncated and other.events[0].kind == cases.CASE_EVENT_KIND_OPENED


async def test_links_are_cut(ledger_url: str) -> None:
    """Of large orders of one account the latest that fit are listed, and the answer says that it is truncated."""
    ledger, unused = history_ledger(ledger_url), None
    for number in range(LARGE_ORDERS):
        await review(ledger, order(number, BEGUN + number, "one", extra_texts=LARGE_EXTRAS))
    service: Any = AgentService(unused, ledger, unused, unused)  # type: ignore[arg-type]
    links = await service.GetLinks(pb.GetLinksRequest(transaction_id="t0"), call())
    assert links.truncated and links.ByteSize() <= PAGE_BYTES + FRAME
    newest = [f"t{number}" for number in range(LARGE_ORDERS - 1, 0, -1)]
    found = [one.record.transaction_id for one in links.orders]
    assert found and found == newest[: len(found)]


def test_clients_take_what_servers_send() -> None:
    """Our channels, and those of the client library, accept the largest answer of a server, for any setting."""
    for settings in (
        MlSettings.read(),
        AgentSettings.read(max_message_bytes=64 << 20),
        MlSettings.read(max_message_bytes=1024),
    ):
        sent = dict(server_options(settings, False))["grpc.max_send_message_length"]
        assert sent == MAX_RESPONSE_BYTES
    for made in (channel_options(), client_options()):
        assert dict(made)["grpc.max_receive_message_length"] == MAX_RESPONSE_BYTES
