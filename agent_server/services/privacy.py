"""PrivacyService: what is kept of a person, and forgetting it."""

from collections.abc import AsyncIterator
from typing import Final

from agent_server.ledger import Ledger
from agent_server.ledger.records import microseconds, timestamp
from agent_server.privacy.background import ErasureWork
from agent_server.privacy.erasing import CHUNK, Erase, ErasureResult
from agent_server.privacy.footprint import export_records, footprint, orders_in_history, totals_of
from agent_server.privacy.progress import Progress, Stage, read_progress
from generated.vouch.v1 import privacy_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.errors import NotFound
from runtime.rpc.call import Call

_WAIT_SECONDS: Final = 5.0
"""How long an answer waits for the database's files to be clean."""
_MARGIN_SECONDS: Final = 0.5
_STAGES: Final = {
    Stage.DONE: pb.ERASURE_STAGE_DONE, Stage.TABLES: pb.ERASURE_STAGE_TABLES, Stage.LOG: pb.ERASURE_STAGE_LOG,
}  # fmt: skip


class PrivacyService:
    """For the role admin."""

    def __init__(self, ledger: Ledger, work: ErasureWork) -> None:
        self._ledger, self._work = ledger, work

    async def FindPerson(self, request: pb.FindPersonRequest, call: Call) -> pb.FindPersonResponse:
        """How much is kept of a person."""
        kept = await self._ledger.read_in_background(footprint(request.user_id))
        response = pb.FindPersonResponse(
            decisions=kept.decisions, cases=kept.cases, remembered_orders=kept.remembered, folded_orders=kept.folded
        )
        if kept.first is not None and kept.last is not None:
            response.first.CopyFrom(timestamp(kept.first))
            response.last.CopyFrom(timestamp(kept.last))
        return response

    async def ExportPerson(self, request: pb.ExportPersonRequest, call: Call) -> AsyncIterator[pb.ExportPersonResponse]:
        """All that is kept of a person."""
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
            raise NotFound("nothing is kept of this person", reason=ErrorReason.ERROR_REASON_NOTHING_KEPT)

    async def ErasePerson(self, request: pb.ErasePersonRequest, call: Call) -> pb.ErasePersonResponse:
        """Forget a person."""
        erased, progress = await self._erase(Erase(user_id=request.user_id), call)
        return pb.ErasePersonResponse(
            decisions=erased.decisions, cases=erased.cases, outcomes=erased.outcomes,
            remembered_orders=erased.remembered, folded_orders=erased.folded, progress=progress,
        )  # fmt: skip

    async def ExpireOrders(self, request: pb.ExpireOrdersRequest, call: Call) -> pb.ExpireOrdersResponse:
        """Forget what is old."""
        erased, progress = await self._erase(Erase(before=microseconds(request.before)), call)
        return pb.ExpireOrdersResponse(
            decisions=erased.decisions, cases=erased.cases, outcomes=erased.outcomes,
            remembered_orders=erased.remembered, folded_orders=erased.folded, progress=progress,
        )  # fmt: skip

    async def GetErasureProgress(
        self, request: pb.GetErasureProgressRequest, call: Call
    ) -> pb.GetErasureProgressResponse:
        """Say how far erasures have come."""
        return pb.GetErasureProgressResponse(progress=_progress(await self._ledger.read_in_background(read_progress)))

    async def _erase(self, erase: Erase, call: Call) -> tuple[ErasureResult, pb.ErasureProgress]:
        """Erase all; finish earlier erasures too, though nothing may be left of this one."""
        total = await self._ledger.write(erase)
        while total.more:
            total += await self._ledger.write(erase)
        remaining = None if call is None else call.remaining
        wait = _WAIT_SECONDS if remaining is None else min(_WAIT_SECONDS, remaining - _MARGIN_SECONDS)
        return total, _progress(await self._work.finish(max(wait, 0.0)))


def _progress(progress: Progress) -> pb.ErasureProgress:
    message = pb.ErasureProgress(stage=_STAGES[progress.stage])
    if progress.stage is not Stage.DONE:
        message.since.CopyFrom(timestamp(progress.since))
        message.waiting_for = progress.waiting_for
    return message
