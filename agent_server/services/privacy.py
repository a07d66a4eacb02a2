"""PrivacyService: finds, exports and erases personal data."""

from collections.abc import AsyncIterator
from typing import Any, Final

from agent_server.ledger import Ledger
from agent_server.ledger.records import microseconds, timestamp
from agent_server.privacy.background import ErasureWork
from agent_server.privacy.erasing import CHUNK, Erase
from agent_server.privacy.footprint import export_records, footprint, orders_in_history, totals_of
from agent_server.privacy.progress import Progress, Stage, read_progress
from generated.vouch.v1 import privacy_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import NotFound
from runtime.rpc.call import Call

_WAIT_SECONDS: Final = 5.0
"""Maximum time that a call waits until erased data is removed from the database's files."""
_MARGIN_SECONDS: Final = 0.5
_STAGES: Final = {
    Stage.DONE: pb.ERASURE_STAGE_DONE, Stage.TABLES: pb.ERASURE_STAGE_TABLES, Stage.LOG: pb.ERASURE_STAGE_LOG,
}  # fmt: skip


class PrivacyService:
    """Servicer of PrivacyService, for the role admin."""

    def __init__(self, ledger: Ledger, work: ErasureWork) -> None:
        self._ledger, self._work = ledger, work

    async def FindPerson(self, request: pb.FindPersonRequest, call: Call) -> pb.FindPersonResponse:
        """Return how much is recorded about a person."""
        found = await self._ledger.read_in_background(footprint(request.user_id))
        response = pb.FindPersonResponse(
            decisions=found.decisions, cases=found.cases, remembered_orders=found.remembered, folded_orders=found.folded
        )
        if found.first is not None and found.last is not None:
            response.first.CopyFrom(timestamp(found.first))
            response.last.CopyFrom(timestamp(found.last))
        return response

    async def ExportPerson(self, request: pb.ExportPersonRequest, call: Call) -> AsyncIterator[pb.ExportPersonResponse]:
        """Stream everything that is recorded about a person."""
        after, nothing = 0, True
        while records := await self._ledger.read_in_background(export_records(request.user_id, after)):
            for record in records:
                yield record
            after, nothing = records[-1].record.sequence, False
            if len(records) < CHUNK:
                break
        place: int | None = None
        while True:
            orders, place = await self._ledger.read_in_background(orders_in_history(request.user_id, place))
            if orders:
                yield pb.ExportPersonResponse(remembered=orders)
                nothing = False
            if place is None:
                break
        totals = await self._ledger.read_in_background(totals_of(request.user_id))
        if totals is not None:
            yield pb.ExportPersonResponse(totals=totals)
        elif nothing:
            raise NotFound("nothing is recorded about this person", reason=ErrorReason.ERROR_REASON_NOTHING_KEPT)

    async def ErasePerson(self, request: pb.ErasePersonRequest, call: Call) -> pb.ErasePersonResponse:
        """Erase the data of a person."""
        return pb.ErasePersonResponse(**await self._erase(Erase(user_id=request.user_id), call))

    async def ExpireOrders(self, request: pb.ExpireOrdersRequest, call: Call) -> pb.ExpireOrdersResponse:
        """Erase the personal data of old orders."""
        return pb.ExpireOrdersResponse(**await self._erase(Erase(before=microseconds(request.before)), call))

    async def GetErasureProgress(
        self, request: pb.GetErasureProgressRequest, call: Call
    ) -> pb.GetErasureProgressResponse:
        """Return the progress of erasures."""
        return pb.GetErasureProgressResponse(progress=_progress(await self._ledger.read_in_background(read_progress)))

    async def _erase(self, erase: Erase, call: Call) -> dict[str, Any]:
        """Erase in chunks; also finish earlier erasures, even if this one finds nothing. Return the fields of a response."""
        total = await self._ledger.write(erase)
        while total.more:
            total += await self._ledger.write(erase)
        remaining = None if call is None else call.remaining
        wait = _WAIT_SECONDS if remaining is None else min(_WAIT_SECONDS, remaining - _MARGIN_SECONDS)
        progress = _progress(await self._work.finish(max(wait, 0.0)))
        return {
            "decisions": total.decisions, "cases": total.cases, "outcomes": total.outcomes,
            "remembered_orders": total.remembered, "folded_orders": total.folded, "progress": progress,
        }  # fmt: skip


def _progress(progress: Progress) -> pb.ErasureProgress:
    message = pb.ErasureProgress(stage=_STAGES[progress.stage])
    if progress.stage is not Stage.DONE:
        message.since.CopyFrom(timestamp(progress.since))
        message.waiting_for = progress.waiting_for
    return message
