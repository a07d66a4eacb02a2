"""PrivacyService: what is kept of a person, and forgetting it."""

from collections.abc import AsyncIterator

from sqlalchemy.engine import Engine

from agent_server.ledger import Ledger
from agent_server.ledger.records import microseconds, timestamp
from agent_server.privacy import CHUNK, Erase, footprint, scrub, told
from generated.vouch.v1 import privacy_service_pb2 as pb
from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.jobs import in_maintenance_thread
from runtime.rpc.call import Call
from runtime.rpc.errors import NotFound


class PrivacyService:
    """For the role admin."""

    def __init__(self, ledger: Ledger, engine: Engine) -> None:
        self._ledger, self._engine = ledger, engine

    async def FindPerson(self, request: pb.FindPersonRequest, call: Call) -> pb.FindPersonResponse:
        """How much is kept of a person."""
        kept = await self._ledger.read_in_background(footprint(request.user_id))
        response = pb.FindPersonResponse(decisions=kept.decisions, cases=kept.cases)
        if kept.first is not None and kept.last is not None:
            response.first.CopyFrom(timestamp(kept.first))
            response.last.CopyFrom(timestamp(kept.last))
        return response

    async def ExportPerson(self, request: pb.ExportPersonRequest, call: Call) -> AsyncIterator[pb.ExportPersonResponse]:
        """All that is kept of a person."""
        after, nothing = 0, True
        while records := await self._ledger.read_in_background(told(request.user_id, after)):
            for record in records:
                yield record
            after, nothing = records[-1].record.sequence, False
            if len(records) < CHUNK:
                break
        if nothing:
            raise NotFound("nothing is kept of this person", reason=ErrorReason.ERROR_REASON_NOTHING_KEPT)

    async def ErasePerson(self, request: pb.ErasePersonRequest, call: Call) -> pb.ErasePersonResponse:
        """Forget a person."""
        return pb.ErasePersonResponse(decisions=await self._erase(Erase(user_id=request.user_id)))

    async def ExpireOrders(self, request: pb.ExpireOrdersRequest, call: Call) -> pb.ExpireOrdersResponse:
        """Forget what is old."""
        return pb.ExpireOrdersResponse(decisions=await self._erase(Erase(before=microseconds(request.before))))

    async def _erase(self, erase: Erase) -> int:
        total = 0
        while erased := await self._ledger.write(erase):
            total += erased
        if total:
            await in_maintenance_thread(scrub, self._engine)
        return total
