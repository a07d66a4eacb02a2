"""Calls that the guard admits, and the errors of others."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import pytest

from generated.vouch.v1 import scoring_service_pb2 as pb
from runtime.access.caller import Caller
from runtime.rpc.authentication import Authenticator
from runtime.rpc.guard import INTERNAL_MESSAGE, Guard
from runtime.rpc.local import LocalContext

METHOD: Final = pb.DESCRIPTOR.services_by_name["ScoringService"].methods_by_name["GetModelInfo"]
PATH: Final = f"/{METHOD.containing_service.full_name}/{METHOD.name}"


class AnyKey(Authenticator):
    """Treats every caller as a shop."""

    def caller_of(self, headers: Any, context: Any) -> Caller:
        """Return a shop for any key."""
        return Caller("somebody", "shop")


async def refusal_of(
    behaviour: Callable[[Any, Any], Awaitable[Any]], roles: dict[str, tuple[str, ...]], seconds: float = 60.0
) -> tuple[grpc.StatusCode, str]:
    """Return the code and the message of a refused call."""
    guard = Guard(max_in_flight=1, roles=roles, authenticator=AnyKey())
    context: Any = LocalContext(seconds, ())
    with pytest.raises(grpc.aio.AbortError) as caught:
        await guard.unary(behaviour, METHOD)(pb.GetModelInfoRequest(), context)
    assert guard.in_flight == 0
    aborted: Any = caught.value
    return aborted.code, aborted.details


async def not_reached(request: Any, call: Any) -> Any:
    """Fail if called."""
    raise AssertionError("the call was worked on")


async def test_no_work_begins_after_the_deadline() -> None:
    """A call whose deadline has passed is DEADLINE_EXCEEDED, and its handler is not called."""
    code, _ = await refusal_of(not_reached, {PATH: ("shop",)}, seconds=0.0)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("roles", [{}, {PATH: ()}, {PATH: ("admin",)}])
async def test_a_call_is_denied_to_roles_without_a_row(roles: dict[str, tuple[str, ...]]) -> None:
    """PERMISSION_DENIED if the roles table has no row for the call, an empty one, or one without the caller's role."""
    code, _ = await refusal_of(not_reached, roles)
    assert code == grpc.StatusCode.PERMISSION_DENIED


async def test_unknown_exceptions_reveal_nothing() -> None:
    """An exception that is none of ours is INTERNAL with a constant text, since its message may be personal."""

    async def breaks(request: Any, call: Any) -> Any:
        raise KeyError("ada@example.com")

    assert await refusal_of(breaks, {PATH: ("shop",)}) == (grpc.StatusCode.INTERNAL, INTERNAL_MESSAGE)
