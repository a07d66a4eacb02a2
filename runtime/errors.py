"""Errors returned to callers. Each has a reason of the contract; `error_statuses` maps reasons to statuses.

VouchError
|-- InvalidRequest      the request violates a rule of the contract
|-- Unavailable         an upstream service is unavailable; retry
|-- NotFound            the resource does not exist
|-- NotAvailable        the resource exists, but its state does not allow the call
|-- Overloaded          too many requests in flight; retry later
|-- Unauthenticated     no API key, or an unknown one
|-- Forbidden           the API key's role does not allow this
|-- DeadlinePassed      the deadline of the caller has passed
`-- Unimplemented       in the contract, but not yet in the server
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
MAX_VIOLATIONS = 20
"""Limit of violations per response, so that a response is not larger than its request."""
_MAX_CHARACTERS = 3000


class VouchError(Exception):
    """An error with a reason of the contract, and metadata without personal data."""

    reason: ErrorReason = ErrorReason.ERROR_REASON_INTERNAL

    def __init__(self, message: str, *, reason: ErrorReason | None = None, **metadata: str) -> None:
        super().__init__(message)
        self.message = message
        self.metadata = metadata
        if reason is not None:
            self.reason = reason

    @property
    def code(self) -> grpc.StatusCode:
        """Return the gRPC status of the reason."""
        return STATUSES[self.reason].code

    def details(self) -> Sequence[Message]:
        """Return the details that follow ErrorInfo, which every error has."""
        return ()


class InvalidRequest(VouchError):
    """One or more fields violate a rule; `violations` are pairs of field path and description.

    Only the first violations are returned, with the count of the others: gRPC clients accept trailers of 8 KiB.
    """

    reason = ErrorReason.ERROR_REASON_INVALID_REQUEST

    def __init__(self, violations: Sequence[tuple[str, str]], more: int = 0) -> None:
        """Keep at most MAX_VIOLATIONS of `violations`; `more` is the number of violations that were not passed."""
        reported = [*violations[:MAX_VIOLATIONS]]
        while sum(len(field) + len(text) for field, text in reported[1:]) > _MAX_CHARACTERS:
            reported.pop()
        more += len(violations) - len(reported)
        first = [f"{field}: {description}" for field, description in reported[:3]]
        others = len(reported) - len(first) + more
        message = "; ".join([*first, f"and {others:,} more"] if others else first)
        super().__init__(f"invalid request: {message}", field=reported[0][0])
        if more:
            self.metadata["more"] = str(more)
        self.violations, self.more = reported, more

    def details(self) -> Sequence[Message]:
        """Return the violations as google.rpc.BadRequest."""
        violation = error_details_pb2.BadRequest.FieldViolation
        reported = [violation(field=field, description=text) for field, text in self.violations]
        return (error_details_pb2.BadRequest(field_violations=reported),)


class _ExplicitReasonError(VouchError):
    """An error class with several possible reasons; the raiser passes one."""

    def __init__(self, message: str, *, reason: ErrorReason, **metadata: str) -> None:
        super().__init__(message, reason=reason, **metadata)


class Unavailable(_ExplicitReasonError):
    """A dependency of this service is unavailable."""


class NotFound(_ExplicitReasonError):
    """The resource does not exist."""


class NotAvailable(_ExplicitReasonError):
    """The resource exists, but its state does not allow the call."""


class Overloaded(VouchError):
    """Too many requests are in flight; RetryInfo says when to retry."""

    reason = ErrorReason.ERROR_REASON_OVERLOADED
    retry_after_seconds: ClassVar[float] = 1.0

    def details(self) -> Sequence[Message]:
        """Return the delay before a retry as google.rpc.RetryInfo."""
        return (error_details_pb2.RetryInfo(retry_delay=Duration(seconds=int(self.retry_after_seconds))),)


class Unauthenticated(VouchError):
    """The call has no API key, or an unknown one."""

    reason = ErrorReason.ERROR_REASON_API_KEY_INVALID


class Forbidden(VouchError):
    """The role of the API key does not allow the call; metadata names the required role."""

    reason = ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT


class DeadlinePassed(VouchError):
    """The deadline of the caller has passed."""

    reason = ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED


class Unimplemented(VouchError):
    """The RPC is in the contract, but not yet in the server."""

    reason = ErrorReason.ERROR_REASON_NOT_IMPLEMENTED


def violations_of(status: status_pb2.Status) -> list[tuple[str, str]]:
    """Return the field paths and descriptions of an InvalidRequest; empty for any other error."""
    bad_request = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(bad_request.DESCRIPTOR):
            detail.Unpack(bad_request)
    return [(violation.field, violation.description) for violation in bad_request.field_violations]


def reason_of(status: status_pb2.Status | None) -> str:
    """Return the reason in the ErrorInfo of a status; empty if it has none."""
    info = error_details_pb2.ErrorInfo()
    for detail in status.details if status else ():
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
    reason: str = info.reason
    return reason


def to_status(error: VouchError) -> status_pb2.Status:
    """Return the error as google.rpc.Status with its details."""
    info = error_details_pb2.ErrorInfo(reason=reason_name(error.reason), domain=DOMAIN, metadata=error.metadata)
    details = []
    for message in (info, *error.details()):
        packed = any_pb2.Any()
        packed.Pack(message)
        details.append(packed)
    return status_pb2.Status(code=error.code.value[0], message=error.message, details=details)
