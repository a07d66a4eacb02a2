"""CaseService: cases as people see them."""

from collections.abc import AsyncIterator

from agent_server.ledger import Ledger
from agent_server.ledger.queries import case_page, whole_case
from agent_server.services.pages import DEFAULT_PAGE, sequence_of
from generated.vouch.v1 import case_service_pb2 as cases
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.rpc.call import Call
from runtime.rpc.errors import NotFound, Unimplemented


class CaseService:
    """Cases: reading them now; claiming, resolving and export are in the contract and come later."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ListCases(self, request: cases.ListCasesRequest, call: Call) -> cases.ListCasesResponse:
        """A page of cases, newest first."""
        before = sequence_of(request.page_token)
        query = case_page(request.status, before, request.page_size or DEFAULT_PAGE)
        page, following = await self._ledger.read(query)
        return cases.ListCasesResponse(cases=page, next_page_token=str(following) if following else "")

    async def GetCase(self, request: cases.GetCaseRequest, call: Call) -> cases.GetCaseResponse:
        """One case with its order and decision."""
        case = await self._ledger.read(whole_case(request.case_id))
        if case is None:
            raise NotFound("there is no such case", reason=ErrorReason.ERROR_REASON_CASE_NOT_FOUND)
        return case

    async def ClaimCase(self, request: cases.ClaimCaseRequest, call: Call) -> cases.ClaimCaseResponse:
        """Not served yet."""
        raise _later("ClaimCase")

    async def ResolveCase(self, request: cases.ResolveCaseRequest, call: Call) -> cases.ResolveCaseResponse:
        """Not served yet."""
        raise _later("ResolveCase")

    async def ExportLabels(
        self, request: cases.ExportLabelsRequest, call: Call
    ) -> AsyncIterator[cases.ExportLabelsResponse]:
        """Not served yet."""
        raise _later("ExportLabels")
        yield cases.ExportLabelsResponse()


def _later(method: str) -> Unimplemented:
    return Unimplemented(f"{method} is not served yet", method=f"/vouch.v1.CaseService/{method}")
