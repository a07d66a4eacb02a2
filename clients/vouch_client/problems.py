"""What an error says: the reason of the contract, and the fields that break a rule."""

from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


def reason_of(error: grpc.RpcError) -> str:
    """The reason, like INVALID_REQUEST; empty where it is gRPC's own error."""
    info = error_details_pb2.ErrorInfo()
    return str(info.reason) if _unpack(error, info) else ""


def field_problems(error: grpc.RpcError) -> dict[str, str]:
    """What is wrong with each field that the error names."""
    bad = error_details_pb2.BadRequest()
    if not _unpack(error, bad):
        return {}
    return {each.field: each.description for each in bad.field_violations}


def _unpack(error: Any, into: Any) -> bool:
    status = rpc_status.from_call(error)
    return status is not None and any(detail.Unpack(into) for detail in status.details)
