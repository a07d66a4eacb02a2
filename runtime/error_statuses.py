"""The table of error reasons with their gRPC status, HTTP status and metadata.

Errors and the bridge read their statuses here. Tests compare the contract's comments and the documentation with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from generated.vouch.v1.error_reason_pb2 import ErrorReason

_PREFIX = "ERROR_REASON_"


@dataclass(frozen=True)
class Status:
    """Statuses of a reason in gRPC and REST, and the allowed metadata keys of its ErrorInfo."""

    code: grpc.StatusCode
    http: int
    metadata: tuple[str, ...] = ()


STATUSES: Final[Mapping[ErrorReason, Status]] = {
    ErrorReason.ERROR_REASON_INVALID_REQUEST: Status(grpc.StatusCode.INVALID_ARGUMENT, 422, ("field", "more")),
    ErrorReason.ERROR_REASON_MODEL_NOT_LOADED: Status(grpc.StatusCode.UNAVAILABLE, 503),
    ErrorReason.ERROR_REASON_SCORER_UNAVAILABLE: Status(grpc.StatusCode.UNAVAILABLE, 503),
    ErrorReason.ERROR_REASON_LEDGER_UNAVAILABLE: Status(grpc.StatusCode.UNAVAILABLE, 503),
    ErrorReason.ERROR_REASON_DECISION_NOT_FOUND: Status(grpc.StatusCode.NOT_FOUND, 404),
    ErrorReason.ERROR_REASON_CASE_NOT_FOUND: Status(grpc.StatusCode.NOT_FOUND, 404),
    ErrorReason.ERROR_REASON_CASE_NOT_AVAILABLE: Status(grpc.StatusCode.FAILED_PRECONDITION, 409, ("status",)),
    ErrorReason.ERROR_REASON_OVERLOADED: Status(grpc.StatusCode.RESOURCE_EXHAUSTED, 429),
    ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED: Status(grpc.StatusCode.DEADLINE_EXCEEDED, 504),
    ErrorReason.ERROR_REASON_API_KEY_INVALID: Status(grpc.StatusCode.UNAUTHENTICATED, 401),
    ErrorReason.ERROR_REASON_NOT_IMPLEMENTED: Status(grpc.StatusCode.UNIMPLEMENTED, 501, ("method",)),
    ErrorReason.ERROR_REASON_ROLE_INSUFFICIENT: Status(grpc.StatusCode.PERMISSION_DENIED, 403, ("needed",)),
    ErrorReason.ERROR_REASON_NOTHING_KEPT: Status(grpc.StatusCode.NOT_FOUND, 404),
    ErrorReason.ERROR_REASON_SERVICE_UNAVAILABLE: Status(grpc.StatusCode.UNAVAILABLE, 503),
    ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE: Status(grpc.StatusCode.RESOURCE_EXHAUSTED, 413),
    ErrorReason.ERROR_REASON_INTERNAL: Status(grpc.StatusCode.INTERNAL, 500, ("request_id",)),
}

HTTP_STATUS: Final[Mapping[grpc.StatusCode, int]] = {
    # The first reason of a code wins. Only the edge returns REQUEST_TOO_LARGE, and it sets the HTTP status itself.
    **{status.code: status.http for status in reversed(list(STATUSES.values()))},
    # Codes that gRPC itself returns, without a reason of the contract.
    grpc.StatusCode.OUT_OF_RANGE: 422,
    grpc.StatusCode.ABORTED: 409,
}


EDGE_STATUS: Final[Mapping[grpc.StatusCode, int]] = dict(HTTP_STATUS) | {
    # Envoy's transcoder uses the mapping of google.rpc.Code.
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
}
"""HTTP status by gRPC code for canonical JSON at the edge (/v1)."""


def reason_name(reason: ErrorReason) -> str:
    """Return the name of a reason in ErrorInfo, such as INVALID_REQUEST."""
    return ErrorReason.Name(reason).removeprefix(_PREFIX)
