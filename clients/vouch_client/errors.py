"""Details of an error: the contract's reason, and the invalid fields."""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def reason_of(error: grpc.RpcError) -> str:
    """Return the reason, like INVALID_REQUEST; empty for an error of gRPC itself."""
    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _unpack(error, info) else ""


def field_problems(error: grpc.RpcError) -> dict[str, str]:
    """Return the problem of each field that the error names."""
    bad = error_details_pb2.BadRequest()
    if not _unpack(error, bad):
        return {}
    return {each.field: each.description for each in bad.field_violations}


def _unpack(error: Any, into: Any) -> bool:
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Unpack(into) for detail in status.details)
