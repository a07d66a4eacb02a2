"""Errors that a caller is meant to see. Each has a reason of the contract; `statuses` says how that reason shows.

VouchError
|-- InvalidRequest      a rule of the contract is broken
|-- Unavailable         something behind is away; try again
|-- NotFound            there is no such thing
|-- NotAvailable        it is there, but not in the needed state
|-- Overloaded          too much in flight; try again later
|-- Unauthenticated     no API key, or one that is not known
|-- Forbidden           the API key's role does not allow this
|-- DeadlinePassed      the caller no longer waits
`-- Unimplemented       in the contract, not yet in the server
"""

from collections.abc import Sequence
from typing import ClassVar

import grpc
from google.protobuf import any_pb2
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from generated.vouch.v1.error_reason_pb2 import ErrorReason
from runtime.error_statuses import STATUSES, reason_name

DOMAIN = "vouch"
MOST_VIOLATIONS = 20
"""Of one request: more help nobody, and an answer must not be larger than what it answers."""
_MOST_CHARACTERS = 3000


class VouchError(Exception):
    """An error with a reason of the contract and metadata that holds nothing personal."""

    reason: ErrorReason = ErrorReason.ERROR_REASON_INTERNAL

    def __init__(self, message: str, *, reason: ErrorReason | None = None, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata
        if reason is not None:
            self.reason = reason

    @property
    def code(self) -> grpc.StatusCode:
        """GRPC's status of the reason."""
        return STATUSES[self.reason].code

    def details(self) -> Sequence[Message]:
        """Details beside the ErrorInfo that every error carries."""
        return ()


class InvalidRequest(VouchError):
    """One or more fields break a rule; `violations` are pairs of field path and description.

    Of many the first are told, and the number of the others: trailers of a call have to stay small (gRPC's clients take 8 KiB).
    """

    reason = ErrorReason.ERROR_REASON_INVALID_REQUEST

    def __init__(self, violations: Sequence[tuple[str, str]], more: int = 0) -> None:
        """Tell at most MOST_VIOLATIONS of `violations`; `more` were found and not even handed over."""
        told = [*violations[:MOST_VIOLATIONS]]
        while sum(len(field) + len(text) for field, text in told[1:]) > _MOST_CHARACTERS:
            told.pop()
        more += len(violations) - len(told)
        first = [f"{field}: {description}" for field, description in told[:3]]
        others = len(told) - len(first) + more
        message = "; ".join([*first, f"and {others:,} more"] if others else first)
        super().__init__(f"invalid request: {message}", field=told[0][0])
        if more:
            self.metadata["more"] = str(more)
        self.violations, self.more = told, more

    def details(self) -> Sequence[Message]:
        """The violations as google.rpc.BadRequest."""
        violation = error_details_pb2.BadRequest.FieldViolation
        told = [violation(field=field, description=text) for field, text in self.violations]
        return (error_details_pb2.BadRequest(field_violations=told),)


class _ForOneReason(VouchError):
    """An error of several reasons: whoever raises it says which."""

    def __init__(self, message: str, *, reason: ErrorReason, **metadata: str) -> None:
        super().__init__(message, reason=reason, **metadata)


class Unavailable(_ForOneReason):
    """Something that this service needs is away."""


class NotFound(_ForOneReason):
    """There is no such thing."""


class NotAvailable(_ForOneReason):
    """The thing is there, but its state does not allow this."""


class Overloaded(VouchError):
    """Too many requests are in flight; tells when to try again."""

    reason = ErrorReason.ERROR_REASON_OVERLOADED
    retry_after_seconds: ClassVar[float] = 1.0

    def details(self) -> Sequence[Message]:
        """When to try again, as google.rpc.RetryInfo."""
        return (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=int(self.retry_after_seconds))),)


class Unauthenticated(VouchError):
    """No API key, or one that is not known."""

    reason = ErrorReason.ERROR_REASON_API_KEY_INVALID


class Forbidden(VouchError):
    """The API key is known, but its role does not allow this; tells the role that is needed."""

    reason = ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT


class DeadlinePassed(VouchError):
    """The caller's deadline passed; nobody waits for the answer."""

    reason = ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED


class Unimplemented(VouchError):
    """The contract has this RPC, the server does not yet."""

    reason = ErrorReason.ERROR_REASON_NOT_IMPLEMENTED


def violations_of(status: status_pb2.Status) -> list[tuple[str, str]]:
    """Field paths and descriptions that a refusal carries, as InvalidRequest told them; none where it is another error."""
    refusal = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(refusal.DESCRIPTOR):
            detail.Unpack(refusal)
    return [(violation.field, violation.description) for violation in refusal.field_violations]


def reason_of(status: status_pb2.Status | None) -> str:
    """The contract's reason of an error, as ErrorInfo spells it; empty where it carries none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    reason: str = info.reason
    return reason


def to_status(error: VouchError) -> status_pb2.Status:
    """The error as google.rpc.Status with its details."""
    info = error_details_pb2.ErrorInfo(reason=reason_name(error.reason), domain=DOMAIN, metadata=error.metadata)
    details = []
    for message in (info, *error.details()):
        packed = any_pb2.Any()
        packed.Pack(message)
        details.append(packed)
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=details)
